// Weft - the hosts file: names and addresses that the machine's owner wrote down
// SPDX-License-Identifier: Apache-2.0
#include "nameservice/hosts_file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "kernel/log.h"
#include "nameservice/ns_clock.h"

namespace wf::detail {

namespace {

constexpr int64_t LOOK_EVERY_MS = 1000;
// Some people block advertisements with files of a few MiB; what is longer is none of theirs.
constexpr size_t MAX_FILE = 64u << 20;

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c; }

std::string normal_name(std::string_view name) {
    if (name.size() > 1 && name.back() == '.')
        name.remove_suffix(1);
    std::string result(name);
    for (char &c : result)
        c = lower(c);
    return result;
}

// Takes the next word off the front; empty at the end of the line.
std::string_view next_word(std::string_view *line) {
    constexpr std::string_view SPACE = " \t\r\v\f";
    size_t begin = line->find_first_not_of(SPACE);
    if (begin == std::string_view::npos)
        return {};
    line->remove_prefix(begin);
    size_t size = line->find_first_of(SPACE);
    std::string_view word = line->substr(0, size);
    line->remove_prefix(word.size());
    return word;
}

class Descriptor {
public:
    explicit Descriptor(int fd) : fd_(fd) {}
    Descriptor(const Descriptor &) = delete;
    Descriptor &operator=(const Descriptor &) = delete;
    ~Descriptor() {
        if (fd_ >= 0)
            close(fd_);
    }
    int get() const { return fd_; }

private:
    int fd_;
};

// False when the file cannot be read; a file that changes meanwhile is read as far as it goes.
bool read_whole(const std::string &path, std::string *text) {
    // A named pipe in its place must not hold us up.
    Descriptor fd(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
    struct stat st;
    if (fd.get() < 0 || fstat(fd.get(), &st) < 0)
        return false;
    if (!S_ISREG(st.st_mode)) {
        errno = EINVAL;
        return false;
    }
    char buffer[16384];
    while (text->size() < MAX_FILE) {
        ssize_t n = ::read(fd.get(), buffer, sizeof buffer);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n == 0;
        text->append(buffer, static_cast<size_t>(n));
    }
    weft_log(WEFT_LOG_WARN, "%s is longer than %zu bytes; the rest is not read", path.c_str(),
             MAX_FILE);
    return true;
}

} // namespace

void parse_hosts_line(std::string_view line, HostsTable *table) {
    line = line.substr(0, line.find('#'));
    struct sockaddr_storage addr;
    socklen_t len;
    if (!parse_ip(next_word(&line), 0, &addr, &len))
        return;
    for (std::string_view name = next_word(&line); !name.empty(); name = next_word(&line)) {
        std::vector<struct sockaddr_storage> &addresses = (*table)[normal_name(name)];
        if (addresses.size() < MAX_ADDRESSES)
            addresses.push_back(addr);
    }
}

bool HostsFile::Version::operator==(const Version &other) const {
    return exists == other.exists && device == other.device && inode == other.inode &&
           size == other.size && changed.tv_sec == other.changed.tv_sec &&
           changed.tv_nsec == other.changed.tv_nsec;
}

void HostsFile::set_path(const char *path) {
    std::lock_guard<std::mutex> lock(mutex_);
    path_ = path ? path : "";
    table_.reset();
}

bool HostsFile::find(std::string_view name, int family, unsigned short port, AddressList *out) {
    std::shared_ptr<const HostsTable> table = this->current();
    if (!table || table->empty())
        return true;
    auto it = table->find(normal_name(name));
    if (it == table->end())
        return true;
    for (const struct sockaddr_storage &addr : it->second) {
        if (family != AF_UNSPEC && family != addr.ss_family)
            continue;
        struct addrinfo node = {};
        struct sockaddr_storage copy = addr;
        node.ai_addr = reinterpret_cast<struct sockaddr *>(&copy);
        bool four = addr.ss_family == AF_INET;
        node.ai_addrlen = four ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);
        if (!out->add_all(&node, port))
            return false;
    }
    return true;
}

std::shared_ptr<const HostsTable> HostsFile::current() {
    std::unique_lock<std::mutex> lock(mutex_);
    if (path_.empty())
        return nullptr;
    int64_t now = ns_now_ms();
    if (!table_) {
        // The version comes first: a change between the two is found at the next look.
        version_ = look(path_);
        table_ = read(path_);
        next_look_ = now + LOOK_EVERY_MS;
        return table_;
    }
    if (now < next_look_)
        return table_;

    next_look_ = now + LOOK_EVERY_MS;
    std::string path = path_;
    Version seen = version_;
    lock.unlock();
    Version found = look(path);
    if (found == seen) {
        lock.lock();
        return table_;
    }
    std::shared_ptr<const HostsTable> table = read(path);
    lock.lock();
    version_ = found;
    table_ = table;
    return table_;
}

HostsFile::Version HostsFile::look(const std::string &path) {
    struct stat st;
    Version version;
    if (stat(path.c_str(), &st) < 0)
        return version;
    version.exists = true;
    version.device = st.st_dev;
    version.inode = st.st_ino;
    version.size = st.st_size;
    version.changed = st.st_mtim;
    return version;
}

std::shared_ptr<const HostsTable> HostsFile::read(const std::string &path) {
    auto table = std::make_shared<HostsTable>();
    std::string text;
    if (!read_whole(path, &text) && errno != ENOENT)
        weft_log(WEFT_LOG_WARN, "cannot read %s: %s", path.c_str(), strerror(errno));
    std::string_view rest = text;
    while (!rest.empty()) {
        size_t size = rest.find('\n');
        parse_hosts_line(rest.substr(0, size), table.get());
        rest.remove_prefix(size == std::string_view::npos ? rest.size() : size + 1);
    }
    return table;
}

} // namespace wf::detail
