import {
  type CedarEngine,
  type CedarEngineOptions,
  type CedarEntity,
  type CedarRequest,
  createCedarEngine,
  type EntitySource,
  type PolicySource,
} from '@countersign/cedar';
import { startNodeThread } from '@countersign/cedar/node';

/** A small bank: enough types and attributes for every claim of these tests. */
export const SCHEMA = `
entity Team in [Team];
entity User in [Team] { age?: Long, boss?: User, teams?: Set<Team>, home?: { near: Team } } tags Long;
entity Vault in [Vault] { owner: User, from?: ipaddr };
action "open" appliesTo {
  principal: User, resource: Vault,
  context: { risk?: Long, at?: datetime, ip?: ipaddr, friend?: User, words?: Set<String> }
};
`;

/** Every user may open what they own. */
export const OWNER_PERMIT: PolicySource = {
  id: 'owner',
  text: 'permit (principal, action, resource) when { resource.owner == principal };',
};

/** An engine that ends with the scope: `await using engine = newEngine()`. */
export function newEngine(
  options: Partial<CedarEngineOptions> = {},
): CedarEngine & AsyncDisposable {
  const engine = createCedarEngine({ startThread: startNodeThread, ...options });
  return { ...engine, [Symbol.asyncDispose]: () => engine.close() };
}

/** Alice opens the vault; `change` replaces parts. */
export function request(change: Partial<CedarRequest> = {}): CedarRequest {
  return {
    principal: { type: 'User', id: 'alice' },
    action: { type: 'Action', id: 'open' },
    resource: { type: 'Vault', id: 'v1' },
    context: {},
    ...change,
  };
}

/** Entities from a list; Alice and her vault are there unless the list says otherwise. */
export function entities(...more: readonly CedarEntity[]): EntitySource & { asked: string[] } {
  const own: readonly CedarEntity[] = [
    { uid: { type: 'User', id: 'alice' }, attrs: {}, parents: [] },
    {
      uid: { type: 'Vault', id: 'v1' },
      attrs: { owner: { __entity: { type: 'User', id: 'alice' } } },
      parents: [],
    },
  ];
  const byName = new Map([...own, ...more].map((entity) => [name(entity.uid), entity]));
  const asked: string[] = [];
  return {
    asked,
    get(uid) {
      asked.push(`${uid.type}::${uid.id}`);
      return byName.get(name(uid));
    },
  };
}

function name(uid: { type: string; id: string }): string {
  return JSON.stringify([uid.type, uid.id]);
}
