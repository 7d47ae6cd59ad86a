// Weft - records, and those who look at each byte of them
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <string.h>

#include "channels.h"

namespace sim {

namespace {

char pattern(const RecordHead &head, size_t place) {
    uint32_t x = (head.key * 31u + head.from) * 2654435761u + head.number * 40503u +
                 static_cast<uint32_t>(place) * 2246822519u;
    return static_cast<char>((x ^ (x >> 15)) >> 7);
}

} // namespace

std::string make_record(RecordKind kind, uint32_t key, uint32_t from, uint32_t number,
                        size_t size) {
    RecordHead head = {kind, 0, static_cast<uint16_t>(size), key, from, number};
    std::string bytes(RECORD_HEAD + size, '\0');
    memcpy(bytes.data(), &head, RECORD_HEAD);
    for (size_t i = 0; i < size; i++)
        bytes[RECORD_HEAD + i] = pattern(head, i);
    return bytes;
}

void Reader::note_broadcast(uint32_t from, uint32_t number) {
    world->trace("hears broadcast %u of thread %u", number, from);
    uint32_t &last = ledger_->last_broadcast[from];
    std::deque<uint32_t> &owed = ledger_->owed[from];
    if (number <= last)
        world->fail("broadcast %u of thread %u comes behind number %u", number, from, last);
    last = number;
    if (!owed.empty() && owed.front() < number)
        world->fail("broadcast %u of thread %u was passed over by number %u", owed.front(), from,
                    number);
    if (!owed.empty() && owed.front() == number)
        owed.pop_front();
}

// A head is complete.
void Reader::begin() {
    if (head_.kind == BROADCAST) {
        if (ledger_)
            this->note_broadcast(head_.from, head_.number);
        else
            early_.emplace_back(head_.from, head_.number);
        return;
    }
    Ledger *of = talk_->find_ledger(head_.key);
    if (head_.kind != SAID || !of || (ledger_ && of != ledger_))
        world->fail("a record begins with %02x, of conversation %u", head_.kind, head_.key);
    ledger_ = of;
    for (auto &[from, number] : early_)
        this->note_broadcast(from, number);
    early_.clear();
    Ledger::Line &line = of->lines[head_.from];
    if (head_.number != line.heard + 1 || head_.number > line.most)
        world->fail("record %u of thread %u comes behind number %u, and %u were sent", head_.number,
                    head_.from, line.heard, line.most);
}

bool Reader::feed(const char *bytes, size_t size) {
    for (size_t i = 0; i < size;) {
        // Garbage, a secure peer in the wrong place, or one that makes requests.
        bool astray = total_ == 0 && strchr("hHW", bytes[i]) && bytes[i];
        if (taken_ == 0 && (bytes[i] == '#' || astray))
            return false;
        if (taken_ < RECORD_HEAD) {
            size_t n = std::min(RECORD_HEAD - taken_, size - i);
            memcpy(reinterpret_cast<char *>(&head_) + taken_, bytes + i, n);
            taken_ += n;
            i += n;
            total_ += n;
            if (taken_ < RECORD_HEAD)
                break;
            this->begin();
        }
        size_t done = taken_ - RECORD_HEAD;
        size_t n = std::min(head_.size - done, size - i);
        for (size_t k = 0; k < n; k++) {
            if (bytes[i + k] != pattern(head_, done + k))
                world->fail("byte %zu of record %u of thread %u is wrong", done + k, head_.number,
                            head_.from);
        }
        taken_ += n;
        i += n;
        total_ += n;
        if (taken_ < RECORD_HEAD + head_.size)
            break;
        taken_ = 0;
        records++;
        if (head_.kind == SAID)
            ledger_->lines[head_.from].heard = head_.number;
    }
    return true;
}

void Reader::ended() {
    if (ledger_)
        ledger_->heard_end = true;
    if (ledger_ && ledger_->is_whole && taken_ > 0)
        world->fail("a stream that was ended in good order ends inside a record");
}

} // namespace sim
