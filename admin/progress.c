/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "admin/progress.h"

#define BAR_SIZE 40 /* characters */

void progress_init(struct progress *progress, const char *what)
{
    progress->what = what;
    progress->shown = isatty(STDERR_FILENO);
    progress->percent = -1;
}

void progress_update(uint64_t done, uint64_t total, void *context)
{
    struct progress *progress = context;
    char bar[BAR_SIZE + 1];
    int percent, full;

    if (!progress->shown || !total)
        return;
    percent = done >= total ? 100 : (int)((double)done / (double)total * 100);
    if (percent == progress->percent)
        return;
    progress->percent = percent;
    full = percent * BAR_SIZE / 100;
    memset(bar, '.', BAR_SIZE);
    memset(bar, '#', (size_t)full);
    bar[BAR_SIZE] = 0;
    fprintf(stderr, "\r%s [%s] %3d %%", progress->what, bar, percent);
    fflush(stderr);
}

void progress_clear(struct progress *progress)
{
    if (progress->shown && progress->percent >= 0)
        fprintf(stderr, "\r\033[K");
    progress->percent = -1;
}
