/* image.c - see image.h.
 *
 * Uses: dl_iterate_phdr(), and the tables that each image has for the dynamic linker. Locks: none of ours.
 *
 * Why functions are not found by dlsym(): it takes a lock that dlopen() holds while constructors run, which may wait
 * for the thread that asks; it looks into what is visible to everybody, or to what has been opened, and opening
 * allocates. The lock taken here is held for moments only.
 */
#include "image.h"

#include <dlfcn.h>
#include <errno.h>
#include <link.h>
#include <sys/auxv.h>

/* A static program may lack them. */
#pragma weak dl_iterate_phdr
#pragma weak dlsym

/* ---- one image ---- */

/* NULL = there are none. The last has the tag DT_NULL. */
static const ElfW(Dyn) *dynamic_entries(const struct dl_phdr_info *image)
{
    for (size_t i = 0; i < image->dlpi_phnum; i++)
        if (image->dlpi_phdr[i].p_type == PT_DYNAMIC)
            return (const ElfW(Dyn) *)(image->dlpi_addr + image->dlpi_phdr[i].p_vaddr);
    return NULL;
}

/* 0 = there is no such entry. */
static uintptr_t dynamic_value(const struct dl_phdr_info *image, int64_t tag)
{
    const ElfW(Dyn) *entry = dynamic_entries(image);
    for (; entry && entry->d_tag != DT_NULL; entry++)
        if (entry->d_tag == tag) return entry->d_un.d_ptr;
    return 0;
}

/* Some dynamic linkers have put the address there, others have left the offset. */
static const void *dynamic_table(const struct dl_phdr_info *image, int64_t tag)
{
    uintptr_t value = dynamic_value(image, tag);
    return (const void *)(value != 0 && value < image->dlpi_addr ? image->dlpi_addr + value : value);
}

static uint32_t hash_of(const char *name)
{
    uint32_t hash = 5381;
    for (; *name; name++) hash = hash * 33 + (unsigned char)*name;
    return hash;
}

/* Not what is to be called first for its address, or has one in each thread. */
static bool is_defined(const ElfW(Sym) *symbol)
{
    unsigned type = symbol->st_info & 15;
    return symbol->st_shndx != SHN_UNDEF && (type == STT_FUNC || type == STT_OBJECT);
}

/* What the image itself defines for others. NULL = not that, or it has no table of the kind that is usual with glibc:
 *
 *   buckets, first symbol, words of filter, - | filter, 8 bytes a word | buckets | hashes; bit 0 ends a chain */
static void *find_in(const struct dl_phdr_info *image, const char *name)
{
    const uint32_t *table = dynamic_table(image, DT_GNU_HASH);
    const ElfW(Sym) *symbols = dynamic_table(image, DT_SYMTAB);
    const char *names = dynamic_table(image, DT_STRTAB);
    if (!table || !symbols || !names || table[0] == 0) return NULL;
    const uint32_t *buckets = table + 4 + 2 * (size_t)table[2];
    const uint32_t *hashes = buckets + table[0];
    uint32_t first = table[1];
    uint32_t hash = hash_of(name);
    uint32_t i = buckets[hash % table[0]];
    if (i < first) return NULL;
    for (;; i++) {
        uint32_t other = hashes[i - first];
        bool same = (other | 1) == (hash | 1) && __builtin_strcmp(names + symbols[i].st_name, name) == 0;
        if (same && is_defined(&symbols[i])) return (void *)(image->dlpi_addr + symbols[i].st_value);
        if (other & 1) return NULL;
    }
}

static bool image_holds(const struct dl_phdr_info *image, uintptr_t address)
{
    for (size_t i = 0; i < image->dlpi_phnum; i++) {
        const ElfW(Phdr) *part = &image->dlpi_phdr[i];
        if (part->p_type == PT_LOAD && address - (image->dlpi_addr + part->p_vaddr) < part->p_memsz) return true;
    }
    return false;
}

struct holder_search {
    uintptr_t address;
    struct dl_phdr_info *found;
};

static int look_for_holder(struct dl_phdr_info *image, size_t size UNUSED, void *data)
{
    const struct holder_search *search = data;
    if (!image_holds(image, search->address)) return 0;
    *search->found = *image;
    return 1;
}

/* false = the address is in no image. */
static bool find_holder(const void *address, struct dl_phdr_info *found)
{
    struct holder_search search = {.address = (uintptr_t)address, .found = found};
    return dl_iterate_phdr && dl_iterate_phdr(look_for_holder, &search) != 0;
}

/* ---- libc ---- */

struct search {
    const char *name;
    void *found;
};

static bool is_libc(const char *path)
{
    static const char name[] = "/libc.so.6";
    size_t length = __builtin_strlen(path);
    return length >= sizeof(name) - 1 && __builtin_strcmp(path + length - (sizeof(name) - 1), name) == 0;
}

static int look_into_libc(struct dl_phdr_info *image, size_t size UNUSED, void *data)
{
    struct search *search = data;
    if (!is_libc(image->dlpi_name)) return 0;
    search->found = find_in(image, search->name);
    return 1;
}

void *image_libc_function(const char *name)
{
    struct search search = {.name = name};
    int saved = errno;
    if (dl_iterate_phdr) (void)dl_iterate_phdr(look_into_libc, &search);
    if (!search.found && dlsym) search.found = dlsym(RTLD_NEXT, name); /* a libc of another name */
    errno = saved;
    return search.found;
}

/* ---- a C++ library ---- */

/* true = the image says itself that it needs the other. */
static bool image_needs(const struct dl_phdr_info *image, const struct dl_phdr_info *other)
{
    const char *names = dynamic_table(image, DT_STRTAB);
    const char *slash = __builtin_strrchr(other->dlpi_name, '/');
    const char *name = slash ? slash + 1 : other->dlpi_name;
    const ElfW(Dyn) *entry = names ? dynamic_entries(image) : NULL;
    for (; entry && entry->d_tag != DT_NULL; entry++)
        if (entry->d_tag == DT_NEEDED && __builtin_strcmp(names + entry->d_un.d_val, name) == 0) return true;
    return false;
}

enum rank { NONE, SOMEWHERE, NEEDED, OWN };

struct set_search {
    const char *const *names;
    void **found;
    size_t count;
    struct dl_phdr_info caller; /* the caller's image */
    enum rank rank;             /* of what was found so far */
};

static enum rank rank_of(const struct set_search *search, const struct dl_phdr_info *image)
{
    if (search->caller.dlpi_phdr == image->dlpi_phdr) return OWN;
    if (search->caller.dlpi_phdr && image_needs(&search->caller, image)) return NEEDED;
    return SOMEWHERE;
}

static int look_for_set(struct dl_phdr_info *image, size_t size UNUSED, void *data)
{
    struct set_search *search = data;
    enum rank rank = rank_of(search, image);
    if (rank <= search->rank) return 0;
    for (size_t i = 0; i < search->count; i++)
        if (!find_in(image, search->names[i])) return 0;
    for (size_t i = 0; i < search->count; i++) search->found[i] = find_in(image, search->names[i]);
    search->rank = rank;
    return rank == OWN;
}

bool image_find_set(const char *const *names, size_t count, const void *caller, void **found)
{
    struct set_search search = {.names = names, .found = found, .count = count};
    if (!dl_iterate_phdr) return false;
    (void)find_holder(caller, &search.caller);
    (void)dl_iterate_phdr(look_for_set, &search);
    return search.rank != NONE;
}

/* ---- staying ---- */

static bool can_go(const struct dl_phdr_info *image)
{
    if ((uintptr_t)image->dlpi_phdr == getauxval(AT_PHDR)) return false; /* the program */
    return !(dynamic_value(image, DT_FLAGS_1) & DF_1_NODELETE);
}

/* It is opened once more by the name that the dynamic linker has for it: so no file is looked for. The functions are
 * not referred to by name, for which linkers of static programs would warn. */
void image_stay(void)
{
    struct dl_phdr_info own;
    void *(*open_image)(const char *name, int mode);
    int (*close_image)(void *image);
    if (!find_holder((const void *)(uintptr_t)image_stay, &own) || !can_go(&own)) return;
    *(void **)&open_image = image_libc_function("dlopen");
    *(void **)&close_image = image_libc_function("dlclose");
    if (!open_image || !close_image) return;
    int saved = errno;
    void *image = open_image(own.dlpi_name, RTLD_LAZY | RTLD_NOLOAD | RTLD_NODELETE);
    if (image) (void)close_image(image);
    errno = saved;
}
