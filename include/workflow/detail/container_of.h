// Weft public header, room: util - from a node inside an object to the object, for C and C++
// SPDX-License-Identifier: Apache-2.0
//
// Shared by list.h and rbtree.h; nobody else includes it. `offsetof` warns for C++ classes that
// have virtual functions or private members, and the classes that hold our nodes often do.
// So C++ takes the way over a pointer to member, which the language checks; C takes offsetof.
// In C++ the member must therefore be named plainly: `node`, not `part.node` and not `nodes[1]`.

#ifndef WEFT_DETAIL_CONTAINER_OF_H
#define WEFT_DETAIL_CONTAINER_OF_H

#include <stddef.h>

#ifdef __cplusplus

#include <string.h>

extern "C++" {
namespace wf {
namespace detail {

// Lets a macro write `&plain_type<struct foo>::type::member`: C++ has no `&struct foo::member`.
template <class T>
struct plain_type {
    typedef T type;
};

template <class T>
struct plain_type<T *> {
    typedef T type;
};

template <class T>
struct plain_type<T *&> {
    typedef T type;
};

template <class T>
struct plain_type<T *const> {
    typedef T type;
};

// T is named apart from Base because `&T::member` has type `M Base::*` when T inherited it.
template <class T, class M, class Base>
inline ptrdiff_t offset_in(M Base::*member) {
    static_assert(sizeof(M T::*) == sizeof(ptrdiff_t), "the Itanium C++ ABI is expected");
    M T::*in_owner = member;
    ptrdiff_t offset;
    memcpy(&offset, &in_owner, sizeof offset);
    return offset;
}

template <class T, class M, class Base>
inline T *container_of(const void *node, M Base::*member) {
    char *place = static_cast<char *>(const_cast<void *>(node));
    return reinterpret_cast<T *>(place - offset_in<T>(member));
}

// Not `&pos->member`: at the end of a walk `pos` is where an object would be, and is none.
template <class T, class M, class Base>
inline M *node_of(T *pos, M Base::*member) {
    char *place = static_cast<char *>(const_cast<void *>(static_cast<const void *>(pos)));
    return reinterpret_cast<M *>(place + offset_in<T>(member));
}

// As a statement it deduces the owner's type from `pos`, so that templates need no `typename`.
template <class T, class M, class Base>
inline void point_at_container(T *&pos, const void *node, M Base::*member) {
    pos = container_of<T>(node, member);
}

} // namespace detail
} // namespace wf
} // extern "C++"

#define WEFT_CONTAINER_OF(ptr, type_, member) \
    (::wf::detail::container_of<type_>((ptr), &::wf::detail::plain_type<type_>::type::member))
#define WEFT_POINT_AT_CONTAINER(pos, ptr, member)   \
    (::wf::detail::point_at_container((pos), (ptr), \
                                      &::wf::detail::plain_type<decltype(pos)>::type::member))
#define WEFT_NODE_OF(pos, member) \
    (::wf::detail::node_of((pos), &::wf::detail::plain_type<decltype(pos)>::type::member))

#else

#define WEFT_CONTAINER_OF(ptr, type_, member) \
    ((type_ *)(void *)((char *)(ptr)-offsetof(type_, member)))
#define WEFT_POINT_AT_CONTAINER(pos, ptr, member) \
    ((pos) = (void *)((char *)(ptr)-offsetof(__typeof__(*(pos)), member)))
#define WEFT_NODE_OF(pos, member) (&(pos)->member)

#endif // __cplusplus

#endif // WEFT_DETAIL_CONTAINER_OF_H
