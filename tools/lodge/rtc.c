// SPDX-License-Identifier: GPL-2.0
/*
 * The real-time clock: Motorola MC146818, without its interrupts. The ACPI tables
 * name none, so guests do not expect alarms of it.
 */
#include <string.h>
#include <time.h>

#include "rtc.h"

#define RTC_SECONDS	0x00
#define RTC_MINUTES	0x02
#define RTC_HOURS	0x04
#define RTC_WEEKDAY	0x06
#define RTC_DAY		0x07
#define RTC_MONTH	0x08
#define RTC_YEAR	0x09
#define RTC_A		0x0a
#define RTC_B		0x0b
#define RTC_C		0x0c
#define RTC_D		0x0d
#define RTC_CENTURY	0x32

#define A_UPDATING	BIT(7)
#define A_DEFAULT	0x26		/* 32768 Hz crystal, 1024 Hz rate */
#define B_SET		BIT(7)	/* the time stands still, to be set */
#define B_BINARY	BIT(2)	/* else BCD */
#define B_24H		BIT(1)	/* else 12 hours; bit 7 of the hour is PM */
#define D_VALID		BIT(7)

#define HOUR_PM		BIT(7)

/* "Updating" is shown for so long before the second changes. */
#define UPDATE_NS	244000

static u8 encode(const struct rtc *rtc, unsigned int value)
{
	return rtc->reg[RTC_B] & B_BINARY ? value : value / 10 << 4 | value % 10;
}

static unsigned int decode(const struct rtc *rtc, u8 value)
{
	return rtc->reg[RTC_B] & B_BINARY ? value : (value >> 4) * 10 + (value & 0xf);
}

static u8 encode_hour(const struct rtc *rtc, unsigned int hour)
{
	if (rtc->reg[RTC_B] & B_24H)
		return encode(rtc, hour);
	return encode(rtc, hour % 12 ? hour % 12 : 12) | (hour >= 12 ? HOUR_PM : 0);
}

static unsigned int decode_hour(const struct rtc *rtc, u8 value)
{
	if (rtc->reg[RTC_B] & B_24H)
		return decode(rtc, value);
	return decode(rtc, value & ~HOUR_PM) % 12 + (value & HOUR_PM ? 12 : 0);
}

/* Bring the registers up to date, unless the guest has stopped them. */
static void show_time(struct rtc *rtc)
{
	struct timespec now;
	struct tm tm;
	time_t t;

	if (rtc->reg[RTC_B] & B_SET)
		return;
	clock_gettime(CLOCK_REALTIME, &now);
	t = now.tv_sec + rtc->offset;
	gmtime_r(&t, &tm);
	rtc->reg[RTC_SECONDS] = encode(rtc, tm.tm_sec);
	rtc->reg[RTC_MINUTES] = encode(rtc, tm.tm_min);
	rtc->reg[RTC_HOURS] = encode_hour(rtc, tm.tm_hour);
	rtc->reg[RTC_WEEKDAY] = encode(rtc, tm.tm_wday + 1);
	rtc->reg[RTC_DAY] = encode(rtc, tm.tm_mday);
	rtc->reg[RTC_MONTH] = encode(rtc, tm.tm_mon + 1);
	rtc->reg[RTC_YEAR] = encode(rtc, tm.tm_year % 100);
	rtc->reg[RTC_CENTURY] = encode(rtc, tm.tm_year / 100 + 19);
	rtc->reg[RTC_A] &= ~A_UPDATING;
	if (now.tv_nsec >= 1000000000 - UPDATE_NS)
		rtc->reg[RTC_A] |= A_UPDATING;
}

/* The guest has set the registers: find out how far that is from the host's time. */
static void take_time(struct rtc *rtc)
{
	struct tm tm = {
		.tm_sec = decode(rtc, rtc->reg[RTC_SECONDS]),
		.tm_min = decode(rtc, rtc->reg[RTC_MINUTES]),
		.tm_hour = decode_hour(rtc, rtc->reg[RTC_HOURS]),
		.tm_mday = decode(rtc, rtc->reg[RTC_DAY]),
		.tm_mon = decode(rtc, rtc->reg[RTC_MONTH]) - 1,
		.tm_year = decode(rtc, rtc->reg[RTC_YEAR]) +
			   decode(rtc, rtc->reg[RTC_CENTURY]) * 100 - 1900,
	};

	rtc->offset = timegm(&tm) - time(NULL);
}

static bool is_time(u8 index)
{
	return index == RTC_SECONDS || index == RTC_MINUTES || index == RTC_HOURS ||
	       (index >= RTC_WEEKDAY && index <= RTC_YEAR) || index == RTC_CENTURY;
}

static void write_register(struct rtc *rtc, u8 index, u8 data)
{
	switch (index) {
	case RTC_A:
		rtc->reg[RTC_A] = data & ~A_UPDATING;
		break;
	case RTC_B:
		show_time(rtc);
		if ((rtc->reg[RTC_B] & B_SET) && !(data & B_SET))
			take_time(rtc);
		rtc->reg[RTC_B] = data;
		break;
	case RTC_C:
	case RTC_D:
		break;			/* read-only */
	default:
		if (is_time(index))
			show_time(rtc);
		rtc->reg[index] = data;
		if (is_time(index) && !(rtc->reg[RTC_B] & B_SET))
			take_time(rtc);
	}
}

static u64 rtc_read(void *dev, u64 offset, unsigned int width __unused)
{
	struct rtc *rtc = dev;
	u8 data;

	if (!offset)
		return 0xff;		/* the index register is write-only */
	pthread_mutex_lock(&rtc->lock);
	if (is_time(rtc->index) || rtc->index == RTC_A)
		show_time(rtc);
	data = rtc->reg[rtc->index];
	pthread_mutex_unlock(&rtc->lock);
	return data;
}

static void rtc_write(void *dev, u64 offset, unsigned int width __unused, u64 data)
{
	struct rtc *rtc = dev;

	pthread_mutex_lock(&rtc->lock);
	if (offset)
		write_register(rtc, rtc->index, data);
	else
		rtc->index = data % RTC_REGISTERS;	/* bit 7 once masked NMIs */
	pthread_mutex_unlock(&rtc->lock);
}

const struct bus_ops rtc_ops = { 1, rtc_read, rtc_write };

void rtc_init(struct rtc *rtc)
{
	memset(rtc, 0, sizeof(*rtc));
	pthread_mutex_init(&rtc->lock, NULL);
	rtc->reg[RTC_A] = A_DEFAULT;
	rtc->reg[RTC_B] = B_24H;
	rtc->reg[RTC_D] = D_VALID;
}
