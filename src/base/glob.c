#include "base/glob.h"

static inline unsigned char fold(char c, bool ignore_case) {
    return (unsigned char)(ignore_case && c >= 'A' && c <= 'Z' ? c + 32 : c);
}

// Matches one "[...]" at `*at` (past the bracket) against `c`, and moves *at past it. An unclosed class ends with the pattern.
static bool match_class(const char **at, const char *end, unsigned char c, bool ignore_case) {
    const char *p = *at;
    bool negate = p < end && *p == '^';
    bool found = false;
    if (negate) p++;
    while (p < end && *p != ']') {
        if (*p == '\\' && p + 1 < end) {
            p++;
            found |= fold(*p, ignore_case) == c;
            p++;
        } else if (p + 2 < end && p[1] == '-') {
            unsigned char low = fold(p[0], ignore_case), high = fold(p[2], ignore_case);
            if (low > high) {
                unsigned char swap = low;
                low = high;
                high = swap;
            }
            found |= c >= low && c <= high;
            p += 3;
        } else {
            found |= fold(*p, ignore_case) == c;
            p++;
        }
    }
    *at = p < end ? p + 1 : p;
    return found != negate;
}

// Matches one pattern element other than '*' against `c` and moves *at past it.
static bool match_one(const char **at, const char *end, char c, bool ignore_case) {
    const char *p = *at;
    unsigned char folded = fold(c, ignore_case);
    if (*p == '?') {
        *at = p + 1;
        return true;
    }
    if (*p == '[') {
        *at = p + 1;
        return match_class(at, end, folded, ignore_case);
    }
    if (*p == '\\' && p + 1 < end) p++;
    *at = p + 1;
    return fold(*p, ignore_case) == folded;
}

bool glob_match(struct bytes pattern, struct bytes text, bool ignore_case) {
    if (!pattern.data) pattern = BYTES(""); // C17 allows no arithmetic on NULL, not even adding 0
    if (!text.data) text = BYTES("");
    const char *p = pattern.data, *p_end = p + pattern.size;
    const char *t = text.data, *t_end = t + text.size;
    const char *star = NULL, *star_text = NULL;
    // On a mismatch, the last '*' swallows one byte more: only the last one ever needs to be tried again.
    while (t < t_end) {
        if (p < p_end && *p == '*') {
            star = ++p;
            star_text = t;
            continue;
        }
        if (p < p_end && match_one(&p, p_end, *t, ignore_case)) {
            t++;
            continue;
        }
        if (!star) return false;
        p = star;
        t = ++star_text;
    }
    while (p < p_end && *p == '*')
        p++;
    return p == p_end;
}
