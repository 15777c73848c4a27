// SPDX-License-Identifier: GPL-2.0
/* The machine of the suites that try local APICs: made before each test, and its end. */
#include "lapic_vcpus.h"

/* Ids in two x2APIC clusters. */
static const u32 test_ids[NR_VCPUS] = { 0, 1, 2, 17 };

static struct lodge_vcpu *make_vcpu(struct kunit *test, struct lodge_vm *vm, u32 id)
{
	struct lodge_vcpu *vcpu = kunit_kzalloc(test, sizeof(*vcpu), GFP_KERNEL);

	if (!vcpu)
		return NULL;
	vcpu->cpuid = kunit_kzalloc(test, sizeof(*vcpu->cpuid), GFP_KERNEL);
	if (!vcpu->cpuid)
		return NULL;

	vcpu->cpuid->features = BIT_ULL(GF_X2APIC) | BIT_ULL(GF_TSC_DEADLINE);
	vcpu->vm = vm;
	vcpu->id = id;
	vcpu->cpu = -1;
	rcuwait_init(&vcpu->wait);
	return lapic_init(vcpu) ? NULL : vcpu;
}

int lapic_vcpus_init(struct kunit *test)
{
	struct lapic_fixture *f = kunit_kzalloc(test, sizeof(*f), GFP_KERNEL);
	u32 i;

	if (!f)
		return -ENOMEM;
	test->priv = f;
	f->vm = kunit_kzalloc(test, sizeof(*f->vm), GFP_KERNEL);
	if (!f->vm)
		return -ENOMEM;
	lodge_signals_init(&f->vm->signals);

	for (i = 0; i < NR_VCPUS; i++) {
		f->vcpu[i] = make_vcpu(test, f->vm, test_ids[i]);
		if (!f->vcpu[i])
			return -ENOMEM;
		f->vm->vcpus[test_ids[i]] = f->vcpu[i];
	}
	restart(f, false);
	return 0;
}

void lapic_vcpus_exit(struct kunit *test)
{
	struct lapic_fixture *f = test->priv;
	u32 i;

	if (f && f->vm)
		lodge_signals_destroy(&f->vm->signals);
	for (i = 0; f && i < NR_VCPUS; i++)
		if (f->vcpu[i])
			lapic_destroy(f->vcpu[i]);
}
