import type { AuthorizationAnswer } from '@cedar-policy/cedar-wasm/nodejs';
import { CedarError } from '../cedar-error.ts';
import type { CedarEntity, CedarRequest, PolicySource } from '../engine.ts';
import { LIMITS } from '../limits.ts';
import { type CedarWasm, instantiateCedarWasm } from './instance.ts';

/** The texts of a set, kept to load it again into a fresh instance. */
interface SetTexts {
  readonly policies: readonly PolicySource[];
  readonly schema: string;
}

/** Sets preparsed in the memory of one wasm instance on this thread, which replaces itself. */
export interface SetStore {
  /** @throws {CedarError} `ERR_CEDAR_OVERLOADED`; `ERR_CEDAR_TOO_DEEP` when wasm breaks of it */
  add(texts: SetTexts): string;
  remove(name: string): void;
  /** @throws {Error} when wasm broke of the call; the next call has a fresh instance */
  authorize(
    name: string,
    request: CedarRequest,
    entities: readonly CedarEntity[],
  ): AuthorizationAnswer;
}

const EMPTY: SetTexts = { policies: [], schema: '' };

/** wasm never frees a name (300 sets were 161 MB), so at most 64 names are used, over and over. */
export function setStore(): SetStore {
  // Undefined before the first set and after wasm threw: an instance that threw stays poisoned.
  let cedar: CedarWasm | undefined;
  const sets = new Map<string, SetTexts>();
  const freeNames = Array.from({ length: LIMITS.sets }, (_, index) => `set-${index}`).reverse();

  /** The instance in use; a fresh one gets every set that is alive. */
  function instance(): CedarWasm {
    if (!cedar) {
      const fresh = instantiateCedarWasm();
      for (const [name, texts] of sets) preparse(fresh, name, texts);
      cedar = fresh;
    }
    return cedar;
  }

  function guarded<T>(call: (wasm: CedarWasm) => T): T {
    const wasm = instance();
    try {
      return call(wasm);
    } catch (cause) {
      cedar = undefined;
      throw cause;
    }
  }

  return {
    add(texts) {
      const name = freeNames.pop();
      if (name === undefined) {
        throw new CedarError(
          'ERR_CEDAR_OVERLOADED',
          `cannot load policies: found ${LIMITS.sets} sets alive, expected some to be disposed`,
        );
      }
      try {
        guarded((wasm) => preparse(wasm, name, texts));
        sets.set(name, texts);
        return name;
      } catch (cause) {
        freeNames.push(name);
        if (cause instanceof CedarError) throw cause;
        const message = `cannot load policies: parsing broke (${String(cause)})`;
        throw new CedarError('ERR_CEDAR_TOO_DEEP', message, { cause });
      }
    },
    remove(name) {
      if (!sets.delete(name)) return;
      freeNames.push(name);
      // Replaced by nothing, so that its memory is free before the name is used again.
      if (cedar) guarded((wasm) => preparse(wasm, name, EMPTY));
    },
    authorize(name, request, entities) {
      return guarded((wasm) =>
        wasm.statefulIsAuthorized({
          principal: uid(request.principal),
          action: uid(request.action),
          resource: uid(request.resource),
          context: request.context as Record<string, never>,
          preparsedSchemaName: name,
          validateRequest: true,
          preparsedPolicySetId: name,
          entities: entities as never,
        }),
      );
    },
  };
}

function preparse(wasm: CedarWasm, name: string, { policies, schema }: SetTexts): void {
  const staticPolicies = Object.fromEntries(policies.map(({ id, text }) => [id, text]));
  for (const answer of [
    wasm.preparseSchema(name, schema),
    wasm.preparsePolicySet(name, { staticPolicies }),
  ]) {
    if (answer.type === 'failure') {
      const message = answer.errors.map((error) => error.message).join('; ');
      throw new CedarError('ERR_CEDAR_POLICY_INVALID', `cannot load policies: ${message}`);
    }
  }
}

/** Without whatever else the caller's object carries: wasm refuses fields that it does not know. */
function uid({ type, id }: { type: string; id: string }) {
  return { type, id };
}
