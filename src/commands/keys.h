// keys: the functions of the generic commands, for the command table in key_table.c.
#ifndef SHOAL_COMMANDS_KEYS_H
#define SHOAL_COMMANDS_KEYS_H

struct call;

// key_basic.c
void key_del(struct call *call);
void key_unlink(struct call *call);
void key_exists(struct call *call);
void key_touch(struct call *call);
void key_type(struct call *call);

// key_object.c
void object_encoding(struct call *call);
void object_freq(struct call *call);
void object_idletime(struct call *call);
void object_refcount(struct call *call);
void object_help(struct call *call);

// key_expire.c
void key_expire(struct call *call);
void key_pexpire(struct call *call);
void key_expireat(struct call *call);
void key_pexpireat(struct call *call);
void key_ttl(struct call *call);
void key_pttl(struct call *call);
void key_expiretime(struct call *call);
void key_pexpiretime(struct call *call);
void key_persist(struct call *call);

// key_move.c
void key_rename(struct call *call);
void key_renamenx(struct call *call);
void key_copy(struct call *call);
void key_move(struct call *call);

// key_scan.c
void key_keys(struct call *call);
void key_scan(struct call *call);
void key_randomkey(struct call *call);

// key_dump.c
void key_dump(struct call *call);
void key_restore(struct call *call);

#endif
