/* SPDX-License-Identifier: MIT */
#include <string.h>
#include <strings.h>

#include "milter/sendopts.h"
#include "postfix/record.h"

#define VERSION_TLS_REQUIRED 310 /* Postfix 3.10 knows the header */
#define VERSION_VERB_HEADERS 311 /* 3.11: headers that carry MAIL arguments */

/* A record of the content: a line, or a piece of one. */
struct piece {
    const uint8_t *bytes;
    size_t size;
    int starts_line; /* else it continues the piece before */
};

struct cursor {
    struct record_reader reader;
    int in_line; /* the record before did not end its line */
};

/* What the headers say. */
struct header_findings {
    int non_ascii;        /* in any header but From */
    int non_ascii_from;   /* in From */
    int nul;              /* a header that Postfix may see only in part */
    int tls_required_no;  /* TLS-Required: no */
    int tls_doubt;        /* TLS-Required that is folded */
    int verb_header;      /* stands for MAIL arguments */
    int compound;         /* multipart or message: headers in the body, too */
    int non_ascii_inside; /* in the body, where a header may be */
};

/* The kinds of headers that matter here. */
enum header_kind {
    HEADER_OTHER,
    HEADER_FROM,
    HEADER_CONTENT_TYPE,
    HEADER_TLS_REQUIRED,
    HEADER_VERBS,
};

static const struct {
    const char *name;
    enum header_kind kind;
} header_names[] = {
    {"From", HEADER_FROM},
    {"Content-Type", HEADER_CONTENT_TYPE},
    {"TLS-Required", HEADER_TLS_REQUIRED},
    {"Require-TLS-ESMTP", HEADER_VERBS},
    {"X-Esmtp-Verbs", HEADER_VERBS},
};

void sendopts_rules_read(struct sendopts_rules *rules,
                         const struct parameters *parameters)
{
    const char *classes = parameters_text(
        parameters, "smtputf8_autodetect_classes", "sendmail, verify");
    unsigned version = parameters_version(parameters);

    rules->smtputf8 = parameters_bool(parameters, "smtputf8_enable", 1);
    rules->autodetect_local =
        rules->smtputf8 &&
        (strcasestr(classes, "sendmail") || strcasestr(classes, "all"));
    rules->tls_required = version >= VERSION_TLS_REQUIRED &&
                          parameters_bool(parameters, "tls_required_enable", 1);
    rules->verb_headers = version >= VERSION_VERB_HEADERS;
}

/* False at the end. */
static int piece_next(struct cursor *cursor, struct piece *piece)
{
    struct record record;

    if (record_next(&cursor->reader, &record))
        return 0;
    piece->bytes = record.data;
    piece->size = record.size;
    piece->starts_line = !cursor->in_line;
    cursor->in_line = record.type == RECORD_PART;
    return 1;
}

static int is_blank(uint8_t byte)
{
    return byte == ' ' || byte == '\t';
}

static int has_non_ascii(const uint8_t *bytes, size_t size)
{
    size_t i;

    for (i = 0; i < size; i++)
        if (bytes[i] & 0x80)
            return 1;
    return 0;
}

/* Size of the name when the piece starts a header, else 0. */
static size_t header_name_size(const struct piece *piece)
{
    size_t i, size;

    for (i = 0; i < piece->size && piece->bytes[i] > ' ' &&
                piece->bytes[i] < 127 && piece->bytes[i] != ':';
         i++)
        ;
    size = i;
    while (i < piece->size && is_blank(piece->bytes[i]))
        i++;
    return i < piece->size && piece->bytes[i] == ':' ? size : 0;
}

static enum header_kind header_kind(const struct piece *piece, size_t name_size)
{
    size_t i;

    for (i = 0; i < sizeof(header_names) / sizeof(header_names[0]); i++)
        if (strlen(header_names[i].name) == name_size &&
            !strncasecmp((const char *)piece->bytes, header_names[i].name,
                         name_size))
            return header_names[i].kind;
    return HEADER_OTHER;
}

/* The value on the header's first line, without blanks around it. */
static const char *header_value(const struct piece *piece, size_t *size)
{
    const char *from = memchr(piece->bytes, ':', piece->size);
    const char *end = (const char *)piece->bytes + piece->size;

    from++;
    while (from < end && is_blank((uint8_t)*from))
        from++;
    while (end > from && (is_blank((uint8_t)end[-1]) || end[-1] == '\r'))
        end--;
    *size = (size_t)(end - from);
    return from;
}

static void header_note_value(const struct piece *piece, enum header_kind kind,
                              struct header_findings *findings)
{
    size_t size;
    const char *value = header_value(piece, &size);

    if (kind == HEADER_VERBS)
        findings->verb_header = 1;
    else if (kind == HEADER_TLS_REQUIRED && size == 2 &&
             !strncasecmp(value, "no", 2))
        findings->tls_required_no = 1;
    else if (kind == HEADER_CONTENT_TYPE &&
             !(size >= 5 && !strncasecmp(value, "text/", 5)))
        /* Application, image and the like end here, too: a folded value or
         * one that only looks like them could still be multipart. */
        findings->compound = 1;
}

/* Any part of a header: its first line, a continuation, a piece of either. */
static void header_note(const struct piece *piece, enum header_kind kind,
                        struct header_findings *findings)
{
    if (has_non_ascii(piece->bytes, piece->size)) {
        if (kind == HEADER_FROM)
            findings->non_ascii_from = 1;
        else
            findings->non_ascii = 1;
    }
    if (memchr(piece->bytes, 0, piece->size))
        findings->nul = 1;
}

/* Read the headers; the cursor is left after the line that ended them. */
static void headers_read(struct cursor *cursor,
                         struct header_findings *findings)
{
    struct piece piece;
    enum header_kind kind = HEADER_OTHER;
    size_t name_size;
    int inside = 0;

    while (piece_next(cursor, &piece)) {
        if (!piece.starts_line ||
            (inside && piece.size && is_blank(piece.bytes[0]))) {
            if (piece.starts_line && kind == HEADER_TLS_REQUIRED)
                findings->tls_doubt = 1;
            header_note(&piece, kind, findings);
            continue;
        }
        name_size = header_name_size(&piece);
        if (!name_size)
            break;
        inside = 1;
        kind = header_kind(&piece, name_size);
        header_note(&piece, kind, findings);
        header_note_value(&piece, kind, findings);
    }
}

/*
 * Could a line of the body be a non-ASCII header of a part?  Boundaries are
 * not followed: anything that looks like a header counts.
 */
static void body_read(struct cursor *cursor, struct header_findings *findings)
{
    struct piece piece;
    int maybe_header = 0;

    while (findings->compound && !findings->non_ascii_inside &&
           piece_next(cursor, &piece)) {
        if (piece.starts_line)
            maybe_header = (piece.size && is_blank(piece.bytes[0])) ||
                           header_name_size(&piece) != 0;
        if (maybe_header && has_non_ascii(piece.bytes, piece.size))
            findings->non_ascii_inside = 1;
    }
}

/* True for non-ASCII text that is well-formed UTF-8. */
static int is_utf8(const char *text)
{
    const uint8_t *at = (const uint8_t *)text;
    uint32_t code, min;
    unsigned more;
    int non_ascii = 0;

    while (*at) {
        if (*at < 0x80) {
            at++;
            continue;
        }
        non_ascii = 1;
        more = *at >= 0xf0 ? 3 : *at >= 0xe0 ? 2 : 1;
        if (*at < 0xc2 || *at > 0xf4)
            return 0;
        min = more == 3 ? 0x10000 : more == 2 ? 0x800 : 0x80;
        for (code = *at++ & (0x3fu >> more); more; more--, at++) {
            if ((*at & 0xc0) != 0x80)
                return 0;
            code = code << 6 | (*at & 0x3f);
        }
        if (code < min || code > 0x10ffff || (code >= 0xd800 && code < 0xe000))
            return 0;
    }
    return non_ascii;
}

/*
 * Recipients count as they were before alias expansion, which the file tells
 * only in part.  1: one is UTF-8; 0: none; -1: aliases leave a doubt.
 */
static int recipients_utf8(const struct syncq_envelope *envelope)
{
    const struct syncq_recipient *recipient;
    uint32_t i;
    int any = 0, other = 0;

    for (i = 0; i < envelope->recipient_count; i++) {
        recipient = &envelope->recipients[i];
        if (!is_utf8(recipient->address) && !is_utf8(recipient->original))
            continue;
        if (!strcmp(recipient->address, recipient->original) ||
            !*recipient->original)
            any = 1;
        else
            other = 1;
    }
    return any ? 1 : other ? -1 : 0;
}

/* Local mail says nothing about SMTPUTF8: cleanup(8) looks at the text. */
static int local_requested(const struct header_findings *findings,
                           const struct syncq_envelope *envelope,
                           unsigned *bits)
{
    int recipients = recipients_utf8(envelope);

    /* A From line that cleanup(8) made of the sender's full name does not
     * count, one that the sender wrote does. */
    if (findings->non_ascii_from && !findings->non_ascii)
        return 0;
    if ((*bits & SENDOPTS_SMTPUTF8_SENDER) || findings->non_ascii ||
        recipients > 0) {
        *bits |= SENDOPTS_SMTPUTF8_REQUESTED;
        return 1;
    }
    return !findings->non_ascii_inside && recipients == 0;
}

static int smtputf8_compute(const struct header_findings *findings,
                            const struct mail_event *event,
                            const struct syncq_envelope *envelope, int local,
                            unsigned *bits)
{
    if (is_utf8(envelope->sender))
        *bits |= SENDOPTS_SMTPUTF8_SENDER;
    if (findings->non_ascii || findings->non_ascii_from)
        *bits |= SENDOPTS_SMTPUTF8_HEADER;
    if (event->smtputf8)
        *bits |= SENDOPTS_SMTPUTF8_REQUESTED;
    else if (!local)
        return 1; /* the other bits mean nothing without a request */
    else if (!local_requested(findings, envelope, bits))
        return 0;
    if (!(*bits & SENDOPTS_SMTPUTF8_REQUESTED))
        return 1;
    return !findings->nul &&
           ((*bits & SENDOPTS_SMTPUTF8_HEADER) || !findings->non_ascii_inside);
}

int sendopts_compute(const struct sendopts_rules *rules,
                     const struct mail_event *event,
                     const struct syncq_envelope *envelope,
                     const uint8_t *content, size_t content_size,
                     unsigned *bits)
{
    struct header_findings findings = {0};
    struct cursor cursor = {.in_line = 0};
    int local = rules->autodetect_local &&
                !syncq_envelope_attribute(envelope, "log_client_address");

    *bits = 0;
    record_reader_init(&cursor.reader, content, content_size);
    headers_read(&cursor, &findings);
    if (event->smtputf8 || local)
        body_read(&cursor, &findings);
    if (rules->verb_headers && findings.verb_header)
        return 0;
    if (event->requiretls)
        *bits |= SENDOPTS_REQUIRETLS;
    if (rules->tls_required) {
        if (findings.tls_doubt ||
            (findings.tls_required_no && event->requiretls))
            return 0;
        if (findings.tls_required_no)
            *bits |= SENDOPTS_TLS_REQUIRED_NO;
    }
    if (!rules->smtputf8)
        return 1;
    return smtputf8_compute(&findings, event, envelope, local, bits);
}
