// Weft - framings: raw, length in front, delimiter behind, and type-length-value
// SPDX-License-Identifier: Apache-2.0
#include "workflow/wf/framing.h"

#include <errno.h>
#include <string.h>

namespace wf {

namespace {

constexpr size_t MOST = sizeof(Wrapping::head);

bool is_width(unsigned width) { return width == 1 || width == 2 || width == 4 || width == 8; }

uint64_t read_number(const char *bytes, unsigned width, ByteOrder order) {
    uint64_t value = 0;
    for (unsigned i = 0; i < width; i++) {
        unsigned at = order == ByteOrder::BIG ? i : width - 1 - i;
        value = value << 8 | static_cast<unsigned char>(bytes[at]);
    }
    return value;
}

void write_number(char *bytes, unsigned width, ByteOrder order, uint64_t value) {
    for (unsigned i = 0; i < width; i++) {
        unsigned at = order == ByteOrder::BIG ? width - 1 - i : i;
        bytes[at] = static_cast<char>(value & 0xff);
        value >>= 8;
    }
}

bool fits(uint64_t value, unsigned width) { return width == 8 || value >> (8 * width) == 0; }

int fail(int error) {
    errno = error;
    return -1;
}

class Raw final : public Framing {
public:
    int cut(std::string_view bytes, size_t *, Frame *frame) const override {
        if (bytes.empty())
            return 0;
        *frame = {bytes, 0, bytes.size()};
        return 1;
    }
    int wrap(size_t, uint64_t type, Wrapping *around) const override {
        around->head_size = around->tail_size = 0;
        return type == 0 ? 0 : fail(EINVAL);
    }
};

// A head of a type, which may be missing, and a length.
class Counted final : public Framing {
public:
    Counted(unsigned type_width, unsigned width, ByteOrder order, bool counts_itself,
            size_t max_size)
        : type_width_(type_width), width_(width), order_(order), counts_itself_(counts_itself),
          max_size_(max_size) {}

    int cut(std::string_view bytes, size_t *, Frame *frame) const override {
        size_t head = type_width_ + width_;
        if (bytes.size() < head)
            return 0;
        uint64_t length = read_number(bytes.data() + type_width_, width_, order_);
        if (counts_itself_ && length < head)
            return fail(EBADMSG);
        length -= counts_itself_ ? head : 0;
        if (length > max_size_)
            return fail(EMSGSIZE);
        if (bytes.size() - head < length)
            return 0;
        frame->type = type_width_ ? read_number(bytes.data(), type_width_, order_) : 0;
        frame->bytes = bytes.substr(head, static_cast<size_t>(length));
        frame->size = head + static_cast<size_t>(length);
        return 1;
    }

    int wrap(size_t size, uint64_t type, Wrapping *around) const override {
        size_t head = type_width_ + width_;
        uint64_t length = size + (counts_itself_ ? head : 0);
        if (size > max_size_ || length < size || !fits(length, width_))
            return fail(EMSGSIZE);
        if (type_width_ ? !fits(type, type_width_) : type != 0)
            return fail(EINVAL);
        if (type_width_)
            write_number(around->head, type_width_, order_, type);
        write_number(around->head + type_width_, width_, order_, length);
        around->head_size = head;
        around->tail_size = 0;
        return 0;
    }

private:
    const unsigned type_width_, width_;
    const ByteOrder order_;
    const bool counts_itself_;
    const size_t max_size_;
};

class Delimited final : public Framing {
public:
    Delimited(std::string delimiter, size_t max_size)
        : delimiter_(std::move(delimiter)), max_size_(max_size) {}

    int cut(std::string_view bytes, size_t *seen, Frame *frame) const override {
        size_t at = bytes.find(delimiter_, *seen);
        if (at == std::string_view::npos) {
            // The last bytes may be the first of a delimiter.
            size_t part = delimiter_.size() - 1;
            *seen = bytes.size() > part ? bytes.size() - part : 0;
            return *seen > max_size_ ? fail(EMSGSIZE) : 0;
        }
        if (at > max_size_)
            return fail(EMSGSIZE);
        frame->size = at + delimiter_.size();
        bool carriage = delimiter_ == "\n" && at > 0 && bytes[at - 1] == '\r';
        frame->bytes = bytes.substr(0, carriage ? at - 1 : at);
        frame->type = 0;
        return 1;
    }

    int wrap(size_t size, uint64_t type, Wrapping *around) const override {
        if (size > max_size_)
            return fail(EMSGSIZE);
        if (type != 0)
            return fail(EINVAL);
        around->head_size = 0;
        memcpy(around->tail, delimiter_.data(), delimiter_.size());
        around->tail_size = delimiter_.size();
        return 0;
    }

    bool takes_rest() const override { return true; }

private:
    const std::string delimiter_;
    const size_t max_size_;
};

} // namespace

std::shared_ptr<const Framing> raw_framing() { return std::make_shared<Raw>(); }

std::shared_ptr<const Framing> length_framing(const LengthFraming &format) {
    if (!is_width(format.width))
        return nullptr;
    return std::make_shared<Counted>(0u, format.width, format.order, format.counts_itself,
                                     format.max_size);
}

std::shared_ptr<const Framing> delimiter_framing(const std::string &delimiter, size_t max_size) {
    if (delimiter.empty() || delimiter.size() > MOST)
        return nullptr;
    return std::make_shared<Delimited>(delimiter, max_size);
}

std::shared_ptr<const Framing> tlv_framing(const TlvFraming &format) {
    if (!is_width(format.type_width) || !is_width(format.length_width))
        return nullptr;
    return std::make_shared<Counted>(format.type_width, format.length_width, format.order, false,
                                     format.max_size);
}

} // namespace wf
