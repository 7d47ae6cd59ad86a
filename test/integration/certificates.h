// Weft - certificates for the TLS tests: a small authority, and what it signs
// SPDX-License-Identifier: Apache-2.0
//
// Made at run time by the openssl program, with keys on P-256, in a directory that goes with the
// authority. One of each process is enough for most tests: Authority::common(). All its methods
// are for the test's own thread.

#ifndef WEFT_TEST_INTEGRATION_CERTIFICATES_H
#define WEFT_TEST_INTEGRATION_CERTIFICATES_H

#include <memory>
#include <string>

#include "integration/peer.h"
#include "workflow/wf/tls.h"

struct Certificate {
    std::string cert; // The file, with nothing but this certificate.
    std::string key;
};

// What a certificate says beyond its defaults.
struct CertificateWish {
    std::string names = "DNS:localhost,IP:127.0.0.1"; // subjectAltName; "" for none.
    std::string purpose = "serverAuth,clientAuth";    // extendedKeyUsage.
    bool expired = false;
    bool self_signed = false;
    bool authority = false; // May sign others.
};

class Authority {
public:
    Authority();

    static Authority &common();

    // Makes name.pem and name.key. Throws no error: a file that could not be made is missing, and
    // whoever uses it says so.
    Certificate make(const std::string &name, const CertificateWish &wish = CertificateWish());
    // The same, signed by a certificate that was made with `authority`.
    Certificate make_below(const Certificate &signer, const std::string &name,
                           const CertificateWish &wish = CertificateWish());
    // A file of several others, in their order.
    std::string join(const std::string &name, const std::vector<std::string> &files) const;

    const std::string &file() const { return self_.cert; }
    const peer::TempDir &dir() const { return dir_; }

private:
    peer::TempDir dir_;
    Certificate self_;
};

// Owns a context.
struct FreeContext {
    void operator()(SSL_CTX *ctx) const { SSL_CTX_free(ctx); }
};
using Context = std::unique_ptr<SSL_CTX, FreeContext>;

// A client's context that trusts this file only; with a certificate of its own if one is given.
Context trusting(const std::string &ca_file, const Certificate &own = Certificate());

std::string read_whole(const std::string &path);

#endif
