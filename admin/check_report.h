/* SPDX-License-Identifier: MIT */
/*
 * check_report.h - what `syncq check` prints, as text and as JSON
 */
#ifndef SYNCQ_ADMIN_CHECK_REPORT_H
#define SYNCQ_ADMIN_CHECK_REPORT_H

#include "admin/json.h"
#include "admin/progress.h"
#include "module/check.h"
#include "module/repair.h"

/* One line of text for each thing found as it is found, or one array. */
struct check_printer {
    struct progress progress;
    int as_json;
    json_t *findings;
    unsigned damage_lines, entry_lines, page_lines;
};

void check_printer_init(struct check_printer *printer, int as_json,
                        const char *what);

/* Lets the printer see what a check or a repair finds. */
struct syncq_repair_visitor
check_printer_visitor(struct check_printer *printer);

/* The end: counts and verdict, or the object.  0 or ENOMEM. */
int check_print(struct check_printer *printer,
                const struct syncq_check_report *report);
int check_print_repair(struct check_printer *printer,
                       const struct syncq_repair_report *report);

/* Did the repair leave nothing to worry about?  Mail may be lost even so. */
int check_repair_is_whole(const struct syncq_repair_report *report);

#endif
