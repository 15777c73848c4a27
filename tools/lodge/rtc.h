/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The real-time clock: tells the host's time (UTC), plus what the guest has set.
 */
#ifndef LODGE_RTC_H
#define LODGE_RTC_H

#include <pthread.h>

#include "bus.h"

#define RTC_REGISTERS	128

/**
 * struct rtc - the device
 * @lock: guards what follows
 * @index: register selected by the guest
 * @offset: guest's time minus host's time, in seconds
 * @reg: the registers; those of the time are brought up to date when read
 */
struct rtc {
	pthread_mutex_t lock;
	u8 index;
	s64 offset;
	u8 reg[RTC_REGISTERS];
};

extern const struct bus_ops rtc_ops;

/**
 * rtc_init() - put it into reset state, on the host's time
 * @rtc: the device
 */
void rtc_init(struct rtc *rtc);

#endif /* LODGE_RTC_H */
