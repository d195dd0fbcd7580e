/* What systemd is told (sd_notify(3)); without it, nothing happens. */
#pragma once

#include <stdint.h>

void notify_ready(const char *status, ...) __attribute__((format(printf, 1, 2)));
void notify_reloading(void);
/* It may take that long. */
void notify_stopping(const char *status, uint64_t within_ms);
