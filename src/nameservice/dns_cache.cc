// Weft - DnsCache: the names that programs see, over the table
// SPDX-License-Identifier: Apache-2.0
#include "workflow/DnsCache.h"

#include "nameservice/dns_table.h"

using wf::detail::DnsKey;
using wf::detail::DnsTable;

namespace {

DnsKey key_of(std::string_view host, unsigned short port) { return {host, port, AF_UNSPEC}; }

DnsKey key_of(const char *host, unsigned short port) {
    return key_of(std::string_view(host ? host : ""), port);
}

} // namespace

DnsCache::DnsCache() : table_(new DnsTable) {}

DnsCache::~DnsCache() { delete table_; }

void DnsCache::clear() { table_->clear(); }

const DnsCache::DnsHandle *DnsCache::get(const HostPort &host_port, int type) {
    return table_->get(key_of(host_port.first, host_port.second), type);
}

const DnsCache::DnsHandle *DnsCache::get(const std::string &host, unsigned short port, int type) {
    return table_->get(key_of(host, port), type);
}

const DnsCache::DnsHandle *DnsCache::get(const char *host, unsigned short port, int type) {
    return table_->get(key_of(host, port), type);
}

const DnsCache::DnsHandle *DnsCache::put(const HostPort &host_port, struct addrinfo *addrinfo,
                                         unsigned int dns_ttl_default, unsigned int dns_ttl_min) {
    DnsKey key = key_of(host_port.first, host_port.second);
    return table_->put(key, addrinfo, dns_ttl_default, dns_ttl_min);
}

const DnsCache::DnsHandle *DnsCache::put(const std::string &host, unsigned short port,
                                         struct addrinfo *addrinfo, unsigned int dns_ttl_default,
                                         unsigned int dns_ttl_min) {
    return table_->put(key_of(host, port), addrinfo, dns_ttl_default, dns_ttl_min);
}

const DnsCache::DnsHandle *DnsCache::put(const char *host, unsigned short port,
                                         struct addrinfo *addrinfo, unsigned int dns_ttl_default,
                                         unsigned int dns_ttl_min) {
    return table_->put(key_of(host, port), addrinfo, dns_ttl_default, dns_ttl_min);
}

void DnsCache::release(const DnsHandle *handle) { DnsTable::release(handle); }

void DnsCache::del(const HostPort &key) { table_->del(key_of(key.first, key.second)); }

void DnsCache::del(const std::string &host, unsigned short port) {
    table_->del(key_of(host, port));
}

void DnsCache::del(const char *host, unsigned short port) { table_->del(key_of(host, port)); }
