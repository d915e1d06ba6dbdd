import type { Adapter, AdapterPayload } from 'oidc-provider';

/** Entries of one provider; it lives for one scene. */
const ENTRIES_MAX = 1_000;

/** Where the staff's identity provider keeps its sessions: in memory, in one map for all kinds of entries. */
export function memoryAdapter(): (kind: string) => Adapter {
  const entries = new Map<string, AdapterPayload>();
  const keep = (key: string, payload: AdapterPayload): void => {
    entries.set(key, payload);
    const [oldest] = entries.keys();
    if (entries.size > ENTRIES_MAX && oldest !== undefined) entries.delete(oldest);
  };
  return (kind) => {
    const keyOf = (id: string): string => `${kind} ${id}`;
    const find = async (id: string) => entries.get(keyOf(id));
    return {
      // Whether an entry is over, the provider sees by its `exp`.
      upsert: async (id, payload) => keep(keyOf(id), payload),
      find,
      findByUid: async (uid) =>
        [...entries].find(([key, each]) => key.startsWith(`${kind} `) && each.uid === uid)?.[1],
      findByUserCode: async () => undefined,
      consume: async (id) => {
        const entry = await find(id);
        if (entry) keep(keyOf(id), { ...entry, consumed: Math.floor(Date.now() / 1000) });
      },
      destroy: async (id) => {
        entries.delete(keyOf(id));
      },
      revokeByGrantId: async (grantId) => {
        for (const [key, each] of entries) if (each.grantId === grantId) entries.delete(key);
      },
    };
  };
}
