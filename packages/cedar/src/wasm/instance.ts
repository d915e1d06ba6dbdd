import { createRequire } from 'node:module';

/** The functions of cedar-wasm; all synchronous, with a thread-local store behind them. */
export type CedarWasm = typeof import('@cedar-policy/cedar-wasm/nodejs');

/**
 * A fresh instance with a memory of its own, in about 25 ms. An instance that has thrown once cannot
 * be trusted again (`memory access out of bounds` stays for good), and it cannot be repaired.
 */
export function instantiateCedarWasm(): CedarWasm {
  // A new `require` each time: the module that it belongs to would otherwise keep every instance.
  const require = createRequire(import.meta.url);
  const path = require.resolve('@cedar-policy/cedar-wasm/nodejs');
  delete require.cache[path];
  const instance: CedarWasm = require(path);
  delete require.cache[path];
  return instance;
}
