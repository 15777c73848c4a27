/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The ACPI tables by which a guest finds its CPUs and devices.
 */
#ifndef LODGE_ACPI_H
#define LODGE_ACPI_H

#include "ram.h"

/**
 * acpi_build() - write the tables to ACPI_ADDR
 * @ram: guest memory
 * @cpus: number of vCPUs
 * @rsdp: set to the address of the root pointer
 *
 * Return: 0, or -1 after a complaint.
 */
int acpi_build(const struct ram *ram, unsigned int cpus, u64 *rsdp);

#endif /* LODGE_ACPI_H */
