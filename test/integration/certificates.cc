// Weft - certificates for the TLS tests: how the openssl program is asked for them
// SPDX-License-Identifier: Apache-2.0
//
// Owner and threads: see certificates.h.

#include "integration/certificates.h"

#include <fstream>
#include <sstream>

namespace {

using Args = std::vector<std::string>;

std::string extensions(const CertificateWish &wish) {
    std::string text = "[req]\ndistinguished_name = name\nprompt = no\n[name]\nCN = none\n[wish]\n";
    if (wish.authority)
        return text + "basicConstraints = critical,CA:TRUE\n"
                      "keyUsage = critical,keyCertSign,cRLSign\n";
    text += "basicConstraints = critical,CA:FALSE\n";
    if (!wish.names.empty())
        text += "subjectAltName = " + wish.names + "\n";
    if (!wish.purpose.empty())
        text += "extendedKeyUsage = " + wish.purpose + "\n";
    return text;
}

Args operator+(Args left, const Args &right) {
    left.insert(left.end(), right.begin(), right.end());
    return left;
}

} // namespace

std::string read_whole(const std::string &path) {
    std::ifstream file(path, std::ios::binary);
    std::ostringstream text;
    text << file.rdbuf();
    return text.str();
}

Authority::Authority() {
    CertificateWish wish;
    wish.authority = wish.self_signed = true;
    self_ = make("authority", wish);
}

Authority &Authority::common() {
    static Authority authority;
    return authority;
}

Certificate Authority::make(const std::string &name, const CertificateWish &wish) {
    return make_below(self_, name, wish);
}

Certificate Authority::make_below(const Certificate &signer, const std::string &name,
                                  const CertificateWish &wish) {
    Certificate made = {dir_.file(name + ".pem"), dir_.file(name + ".key")};
    const std::string config = dir_.file(name + ".cnf"), request = dir_.file(name + ".csr");
    dir_.write(name + ".cnf", extensions(wish));
    const Args common = {"openssl",  "req",
                         "-config",  config,
                         "-subj",    "/CN=Weft test, " + name,
                         "-newkey",  "ec",
                         "-pkeyopt", "ec_paramgen_curve:P-256",
                         "-nodes",   "-keyout",
                         made.key};
    const Args signing = {"-CA", signer.cert, "-CAkey", signer.key};
    if (wish.expired) { // Only this way a time of the past can be asked for.
        peer::run(common + Args{"-new", "-out", request});
        peer::run(Args{"openssl", "x509", "-req", "-in", request, "-days", "-1", "-extfile", config,
                       "-extensions", "wish", "-out", made.cert} +
                  signing);
        return made;
    }
    Args args = common + Args{"-x509", "-days", "30", "-extensions", "wish", "-out", made.cert};
    peer::run(wish.self_signed ? args : args + signing);
    return made;
}

std::string Authority::join(const std::string &name, const std::vector<std::string> &files) const {
    std::string all;
    for (const std::string &file : files)
        all += read_whole(file);
    dir_.write(name, all);
    return dir_.file(name);
}

Context trusting(const std::string &ca_file, const Certificate &own) {
    wf::TlsOptions options;
    options.ca_file = ca_file;
    options.cert_file = own.cert;
    options.key_file = own.key;
    return Context(wf::new_tls_client_ctx(options));
}
