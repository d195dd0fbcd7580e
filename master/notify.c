/* sd_notify(3): see notify.h. */
#include "master/notify.h"

#include <stdarg.h>
#include <stdio.h>
#include <systemd/sd-daemon.h>
#include <time.h>

void notify_ready(const char *status, ...)
{
	char text[256];
	va_list ap;

	va_start(ap, status);
	vsnprintf(text, sizeof(text), status, ap);
	va_end(ap);
	sd_notifyf(0, "READY=1\nSTATUS=%s", text);
}

void notify_reloading(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%llu\nSTATUS=loading the configuration",
	    (unsigned long long)ts.tv_sec * 1000000u + (unsigned long long)ts.tv_nsec / 1000);
}

void notify_stopping(const char *status, uint64_t within_ms)
{
	sd_notifyf(0, "STOPPING=1\nEXTEND_TIMEOUT_USEC=%llu\nSTATUS=%s", (unsigned long long)within_ms * 1000u, status);
}

uint64_t notify_watchdog_ms(void)
{
	uint64_t us = 0;

	return sd_watchdog_enabled(0, &us) > 0 ? us / 1000 : 0;
}

void notify_alive(void)
{
	sd_notify(0, "WATCHDOG=1");
}
