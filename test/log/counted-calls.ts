// An object store whose calls a test sees, counts and refuses.
import type { ObjectStore } from "../../src/object-store/object-store.ts";

/** Every call of `store` goes through `around`, once for each key it names, in order; the last one runs it. */
export function withCalls(
  store: ObjectStore,
  around: <T>(call: keyof ObjectStore, key: string, run: () => Promise<T>) => Promise<T>,
): ObjectStore {
  return {
    put: (key, parts, options) => around("put", key, () => store.put(key, parts, options)),
    get: (key, options) => around("get", key, () => store.get(key, options)),
    head: (key, options) => around("head", key, () => store.head(key, options)),
    list: (prefix, options) => around("list", prefix, () => store.list(prefix, options)),
    delete: async (keys, options) => {
      for (const key of keys) await around("delete", key, () => store.delete([key], options));
    },
  };
}
