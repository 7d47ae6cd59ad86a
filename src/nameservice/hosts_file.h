// Weft - the hosts file: names and addresses that the machine's owner wrote down
// SPDX-License-Identifier: Apache-2.0
//
// Any thread. The file is read at the first question; later, at most once a second, somebody who
// asks looks whether it was changed, and reads it again without keeping others waiting. Format:
// hosts(5). Lines that make no sense are skipped.
#ifndef WEFT_SRC_NAMESERVICE_HOSTS_FILE_H
#define WEFT_SRC_NAMESERVICE_HOSTS_FILE_H

#include <memory>
#include <mutex>
#include <stdint.h>
#include <string>
#include <string_view>
#include <sys/stat.h>
#include <unordered_map>
#include <vector>

#include "nameservice/address_list.h"

namespace wf::detail {

// Lower case name to its addresses, in the order of the file.
typedef std::unordered_map<std::string, std::vector<struct sockaddr_storage>> HostsTable;

// Adds what a line of text says to the table.
void parse_hosts_line(std::string_view line, HostsTable *table);

class HostsFile {
public:
    // NULL or "": there is none. The path is copied.
    void set_path(const char *path);

    // Appends the addresses of `name`, in any case of letters and with or without a final dot, of
    // `family` (AF_UNSPEC: both) with `port`. False when the memory did not suffice.
    [[nodiscard]] bool find(std::string_view name, int family, unsigned short port,
                            AddressList *out);

private:
    // What tells one version of the file from another.
    struct Version {
        bool exists = false;
        dev_t device = 0;
        ino_t inode = 0;
        off_t size = 0;
        struct timespec changed = {0, 0};
        bool operator==(const Version &other) const;
    };

    std::shared_ptr<const HostsTable> current();
    static Version look(const std::string &path);
    static std::shared_ptr<const HostsTable> read(const std::string &path);

    std::mutex mutex_; // guards the rest; held while the file is read for the first time only
    std::string path_;
    Version version_;
    std::shared_ptr<const HostsTable> table_;
    int64_t next_look_ = 0; // ms
};

} // namespace wf::detail

#endif
