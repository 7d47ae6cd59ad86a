// Weft public header, room: factory - how client tasks are counted by the scheme of their url
// SPDX-License-Identifier: Apache-2.0
#ifndef WEFT_DETAIL_SCHEME_MARK_H
#define WEFT_DETAIL_SCHEME_MARK_H

namespace wf {
namespace detail {

// A member of a task: counts it under its scheme, from the first set() until it is destroyed.
class SchemeMark {
public:
    SchemeMark() : place_(-1) {}
    ~SchemeMark() { this->clear(); }

    // Any case. One that has no row of its own, and NULL, are "other". A task that a redirect takes
    // to another scheme is gone there, and made here.
    void set(const char *scheme);

private:
    SchemeMark(const SchemeMark &);
    SchemeMark &operator=(const SchemeMark &);
    void clear();

    int place_; // in the table of schemes; -1: not counted yet
};

// In the order of the table, the last is "other"; NULL behind it.
const char *scheme_name(unsigned place);

} // namespace detail
} // namespace wf

#endif
