/* SPDX-License-Identifier: MIT */
/*
 * milter_peer.h - the MTA's side of the milter protocol, for tests
 */
#ifndef SYNCQ_TESTS_MILTER_PEER_H
#define SYNCQ_TESTS_MILTER_PEER_H

#include <stddef.h>
#include <stdint.h>

#define MILTER_PEER_ACTIONS  0x1ffu /* all that an MTA of today offers */
#define MILTER_PEER_PROTOCOL 0x1fffffu
#define MILTER_PEER_TEXT_MAX 1000 /* bytes of a reply */

#define MILTER_PEER_TIMEOUT 0 /* instead of a reply's letter */
#define MILTER_PEER_CLOSED  (-1)

struct milter_peer {
    int fd;
    uint32_t actions, protocol; /* what the milter asked for */
    char macros[256];           /* "STAGE:NAMES;..." as it asked for them */
    unsigned progress_count;
    char text[MILTER_PEER_TEXT_MAX + 1]; /* of the last reply */
};

/*
 * Connect to a socket and negotiate, offering these bits.  0, an errno value,
 * or EPROTO: the milter answered nonsense or hung up.
 */
int milter_peer_open(struct milter_peer *peer, const char *path,
                     uint32_t actions, uint32_t protocol);
void milter_peer_close(struct milter_peer *peer);

/*
 * MAIL with its macro mail_addr (NULL: none) and arguments, the address first
 * and NULL last.  Waits for the reply if one is due: its letter, else 'c'.
 */
int milter_peer_mail(struct milter_peer *peer, const char *mail_addr,
                     const char *const *arguments);

/* End of message with its macro i (NULL: none); the reply comes later. */
int milter_peer_end(struct milter_peer *peer, const char *queue_id);

/*
 * The letter of the next reply that is no sign of life, or one of the values
 * above.
 */
int milter_peer_reply(struct milter_peer *peer, int timeout_ms);

/* One command without arguments, by its letter. */
int milter_peer_command(struct milter_peer *peer, char command);

/* The descriptor's bytes as they are, for what no MTA would send. */
int milter_peer_send(struct milter_peer *peer, const void *bytes, size_t size);

#endif
