/* SPDX-License-Identifier: MIT */
/*
 * postconf.h - ask postconf(1)
 */
#ifndef SYNCQ_POSTFIX_POSTCONF_H
#define SYNCQ_POSTFIX_POSTCONF_H

/* By absolute path: master(8) starts its services without PATH. */
#ifndef POSTCONF_PATH
#define POSTCONF_PATH "/usr/sbin/postconf"
#endif

/*
 * Run postconf with these arguments, NULL at the end, and read all that it
 * prints; the caller frees *text.  config_directory NULL: Postfix's own
 * default.  EIO: it could not be run or failed (its message went to standard
 * error); ENOMEM.
 */
int postconf_run(const char *config_directory, const char *const *arguments,
                 char **text);

#endif
