/* What systemd is told (sd_notify(3)); without it, nothing happens. */
#pragma once

#include <stdint.h>

/* How often systemd wants to hear of us; 0: never. */
uint64_t notify_watchdog_ms(void);
void notify_alive(void);
void notify_ready(const char *status, ...) __attribute__((format(printf, 1, 2)));
void notify_reloading(void);
/* It may take that long. */
void notify_stopping(const char *status, uint64_t within_ms);
