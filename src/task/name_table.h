// Weft - NameTable: which objects stand under a name, oldest first
// SPDX-License-Identifier: Apache-2.0
//
// Any thread may use a table. It is split by name into shards, each with a lock; all that is said
// of an object under its name happens under its shard's lock, and an object that is destroyed is
// taken out under it first. So whoever finds an object in the table may use it until the lock is
// let go.
//
// Tables live as long as the process and are never destroyed: timers end while static objects are.
// An empty table holds no memory of its own.
#ifndef WEFT_SRC_TASK_NAME_TABLE_H
#define WEFT_SRC_TASK_NAME_TABLE_H

#include <functional>
#include <map>
#include <mutex>
#include <new>
#include <stdio.h>
#include <string>

namespace wf::detail {

class NamedBase;

class NameTable {
public:
    struct Row {
        NamedBase *oldest = nullptr;
        NamedBase *newest = nullptr;
    };
    using Rows = std::map<std::string, Row>;

    struct Shard {
        std::mutex mutex;
        Rows rows; // none of them empty

        // The oldest of that name, or NULL.
        NamedBase *oldest(const std::string &name) {
            auto at = rows.find(name);
            return at == rows.end() ? nullptr : at->second.oldest;
        }
    };

    Shard &shard_of(const std::string &name) {
        return shards_[std::hash<std::string>()(name) % SHARDS];
    }

private:
    static constexpr size_t SHARDS = 16;
    Shard shards_[SHARDS];
};

// One place in a table. Everything but enter() needs the shard's lock.
class NamedBase {
public:
    NamedBase(NameTable &table, const std::string &name) : shard_(table.shard_of(name)) {}

    // Enters the table as the newest of that name. The last step of a constructor: from here on
    // others see the object.
    void enter(const std::string &name) {
        std::lock_guard lock(shard_.mutex);
        listed_ = true;
        at_ = shard_.rows.try_emplace(name).first;
        NameTable::Row &row = at_->second;
        older_ = row.newest;
        (older_ ? older_->newer_ : row.oldest) = this;
        row.newest = this;
    }

    NamedBase(const NamedBase &) = delete;
    NamedBase &operator=(const NamedBase &) = delete;

    NameTable::Shard &shard() const { return shard_; }
    NamedBase *newer() const { return newer_; }

    // Out of the table, if it is in it.
    void leave() {
        if (!listed_)
            return;
        listed_ = false;
        NameTable::Row &row = at_->second;
        (older_ ? older_->newer_ : row.oldest) = newer_;
        (newer_ ? newer_->older_ : row.newest) = older_;
        if (!row.oldest)
            shard_.rows.erase(at_);
    }

    // Like snprintf(): the name, and nothing when it is out of the table.
    int print_name(char *text, size_t size) const {
        std::lock_guard lock(shard_.mutex);
        return snprintf(text, size, "%s", listed_ ? at_->first.c_str() : "");
    }

protected:
    ~NamedBase() = default;

private:
    NameTable::Shard &shard_;
    NameTable::Rows::iterator at_;
    NamedBase *older_ = nullptr;
    NamedBase *newer_ = nullptr;
    bool listed_ = false;
};

// The table of one kind of object, made at its first use.
template <class KIND>
NameTable &name_table() {
    alignas(NameTable) static unsigned char room[sizeof(NameTable)];
    static NameTable *table = new (room) NameTable;
    return *table;
}

} // namespace wf::detail

#endif
