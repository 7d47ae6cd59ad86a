// Weft - the fields an engine adds to messages by itself
// SPDX-License-Identifier: Apache-2.0
//
// For the client and server tasks: what is known to be well-formed need not be checked again. 0, or
// -1 with ENOMEM.

#ifndef WEFT_SRC_PROTOCOL_HTTP_DEFAULTS_H
#define WEFT_SRC_PROTOCOL_HTTP_DEFAULTS_H

#include "workflow/http_parser.h"

#ifdef __cplusplus
extern "C" {
#endif

// "Content-Length: length"
int http_parser_add_length(http_parser_t *parser, size_t length);

// "Connection: Keep-Alive" or "Connection: close"
int http_parser_add_connection(http_parser_t *parser, int keep_alive);

// Code and phrase of a status line; the phrase must live for ever. A code without three digits is
// ignored.
void http_parser_set_status(http_parser_t *parser, int code, const char *phrase);

#ifdef __cplusplus
}
#endif

#endif
