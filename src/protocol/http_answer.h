// Weft - answers a server gives without asking its user
// SPDX-License-Identifier: Apache-2.0
//
// Complete responses as constant text; any thread.

#ifndef WEFT_SRC_PROTOCOL_HTTP_ANSWER_H
#define WEFT_SRC_PROTOCOL_HTTP_ANSWER_H

#include <stddef.h>

namespace protocol {

// The standard phrase of a status code, or NULL.
const char *http_status_phrase(int code);

// The response without body that ends a connection, for 400, 403, 408, 413, 414, 417, 431, 501 and
// 505; others give that of 400. Points to constant text.
const char *http_error_answer(int status, size_t *size);

} // namespace protocol

#endif
