// Weft - OpenSSL, loaded when it is first needed
// SPDX-License-Identifier: Apache-2.0
#include "kernel/openssl.h"

#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <string.h>

#include "kernel/log.h"

#define WEFT_OPENSSL(name) extern __typeof__(name) name __attribute__((weak));
#include "kernel/openssl_names.def"
#undef WEFT_OPENSSL

struct openssl openssl;

static pthread_once_t once = PTHREAD_ONCE_INIT;
static int load_error;

// What this process was linked with. False when that is not all of it.
static bool take_linked(void) {
    bool all = true;
#define WEFT_OPENSSL(name) \
    openssl.name = name;   \
    all = all && openssl.name;
#include "kernel/openssl_names.def"
#undef WEFT_OPENSSL
    return all;
}

// A function pointer cannot be cast from an object pointer in C, only copied.
static bool find(void *library, const char *name, void *pointer) {
    void *found = dlsym(library, name);
    memcpy(pointer, &found, sizeof found);
    return found != NULL;
}

static bool take_opened(void) {
    void *library = dlopen("libssl.so.3", RTLD_NOW | RTLD_LOCAL); // finds libcrypto's too
    bool all = library != NULL;
#define WEFT_OPENSSL(name) all = all && find(library, #name, &openssl.name);
#include "kernel/openssl_names.def"
#undef WEFT_OPENSSL
    if (!all)
        weft_log(WEFT_LOG_ERROR, "TLS cannot be used: %s", library ? dlerror() : "no libssl.so.3");
    return all;
}

static void load(void) {
    if (!take_linked() && !take_opened()) {
        load_error = ENOSYS;
        return;
    }
    openssl.OPENSSL_init_ssl(OPENSSL_INIT_NO_ATEXIT, NULL);
}

int openssl_load(void) {
    pthread_once(&once, load);
    if (load_error == 0)
        return 0;
    errno = load_error;
    return -1;
}

void openssl_outlive_exit(void) {
    if (OPENSSL_init_ssl)
        openssl_load();
}
