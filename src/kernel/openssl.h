// Weft - OpenSSL, loaded when it is first needed
// SPDX-License-Identifier: Apache-2.0
//
// Loading OpenSSL takes longer than all else that a small server does before its first answer, so
// only a program that uses TLS pays for it. A program that is linked with OpenSSL itself, as one
// must be that makes an SSL_CTX of its own, has it in the process already: then that very library
// is used, found by the linker's weak references. Else libssl is opened by name.
//
// Any thread may call openssl_load(). Once it has returned 0, `openssl` is complete and never
// changes; all that touches TLS comes behind that.
#ifndef WEFT_SRC_KERNEL_OPENSSL_H
#define WEFT_SRC_KERNEL_OPENSSL_H

#include <openssl/bio.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#ifdef __cplusplus
extern "C" {
#endif

#define WEFT_OPENSSL(name) typedef __typeof__(name) *openssl_##name;
#include "kernel/openssl_names.def"
#undef WEFT_OPENSSL

struct openssl {
#define WEFT_OPENSSL(name) openssl_##name name;
#include "kernel/openssl_names.def"
#undef WEFT_OPENSSL
};

extern struct openssl openssl;

// 0, or -1 with errno ENOSYS when there is no OpenSSL 3 on this system, which is logged once.
int openssl_load(void);

// OpenSSL frees its tables when the process exits, unless it was told otherwise before its first
// use; the engine's threads may still be in the middle of a record then. Called when the engine
// starts; does nothing unless the program has OpenSSL in the process already.
void openssl_outlive_exit(void);

#ifdef __cplusplus
}
#endif

#endif
