/* SPDX-License-Identifier: MIT */
#include "qmgr/delay.h"

#include <stdio.h>
#include <string.h>

#include "qmgr/pass.h"

void delay_number(double seconds, unsigned digits, char *text,
                  unsigned long size)
{
    double scale = 1;
    unsigned decimals = 0;

    if (seconds < 0)
        seconds = 0;
    /* From 10 s on whole seconds are two digits already. */
    while (seconds * scale < 10 && decimals < digits) {
        scale *= 10;
        decimals++;
    }
    (void)snprintf(text, size, "%.*f", (int)decimals, seconds);
    if (decimals == 0)
        return;
    while (text[strlen(text) - 1] == '0')
        text[strlen(text) - 1] = '\0';
    if (text[strlen(text) - 1] == '.')
        text[strlen(text) - 1] = '\0';
}

void delay_format(const struct pass *pass, unsigned digits,
                  char text[DELAY_TEXT_SIZE])
{
    struct timeval now;
    char total[32], before[32], inside[32];
    double active = (double)pass->active_since.tv_sec +
                    (double)pass->active_since.tv_usec / 1e6;
    double arrival = (double)pass->arrival_s + (double)pass->arrival_us / 1e6;
    double end;

    (void)gettimeofday(&now, NULL);
    end = (double)now.tv_sec + (double)now.tv_usec / 1e6;
    delay_number(end - arrival, digits, total, sizeof(total));
    delay_number(active - arrival, digits, before, sizeof(before));
    delay_number(end - active, digits, inside, sizeof(inside));
    (void)snprintf(text, DELAY_TEXT_SIZE, "delay=%s, delays=%s/%s/0/0", total,
                   before, inside);
}
