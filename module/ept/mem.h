/* SPDX-License-Identifier: GPL-2.0 */
/* What the files of ept/ share and nobody else sees: regions, invalidation, flush. */
#ifndef LODGE_EPT_MEM_H
#define LODGE_EPT_MEM_H

#include "ept.h"
#include "table.h"
#include "view.h"

/* The most operations that one update may bring. */
#define LODGE_MAX_MEM_OPS	1024

struct lodge_region_set *region_set_alloc(u32 max);
struct lodge_region_set *region_set_build(const struct lodge_region_set *old,
					  const struct lodge_mem_op *ops, u32 nr, u32 *bad);
const struct lodge_mem_region *region_find(const struct lodge_region_set *set, gpa_t gpa);
bool region_clip(const struct lodge_mem_region *r, u64 hva_start, u64 hva_end, gpa_t *start,
		 gpa_t *end);

void ept_inval_begin(struct lodge_mem *mem, u64 hva_start, u64 hva_end);
void ept_inval_end(struct lodge_mem *mem, struct lodge_region_set *regions);
bool ept_inval_covers(const struct lodge_mem *mem, u64 hva_start, u64 hva_end);

void ept_gone_publish(struct lodge_mem *mem, const struct ept_gone *gone);
void ept_flush(struct lodge_mem *mem);

extern const struct mmu_notifier_ops ept_notifier_ops;

#endif
