import { ACTORS_MAX, type Clock } from '@countersign/model';
import type { Customers } from '../../customers/customers.ts';
import type { ClientOf, Registry } from '../../registry.ts';
import type { Revocations } from '../../revocations.ts';
import type { SubjectToken } from './subject-token.ts';

/** Who stands where. */
export interface Standings {
  readonly registry: Registry;
  readonly revocations: Revocations;
  /** The bank's customers, of whom the registry does not tell; none where people do not sign in. */
  readonly customers: Pick<Customers, 'get'> | undefined;
  readonly now: Clock;
}

/**
 * Why a client may not act by a subject token; nothing when it may. Everything is refused that its registration does not name:
 * it takes tokens over from clients that it names, and only those that were made for it.
 */
export async function delegationFault(
  token: SubjectToken,
  { client, registration }: ClientOf,
  standings: Standings,
): Promise<string | undefined> {
  const { exchange } = client;
  const actor = registration.subject.id;
  if (exchange === undefined) return 'the client is not registered to act for anybody';
  const taken = await takenBack(token, standings);
  if (taken !== undefined) return taken;
  if (!exchange.from.includes(token.clientId)) {
    return `it was issued to client '${token.clientId}', from which none is taken over`;
  }
  // Whoever may use it elsewhere only has found or kept it: it was never handed to this client.
  if (!token.audiences.some((each) => exchange.serves.includes(each))) {
    return `its audience is '${token.audiences.join(' ')}', which the client is not`;
  }
  // Dropped on the way, what limits the token would limit nothing; so it is not exchanged.
  const foreign = token.details?.find(({ type }) => !client.detailTypes?.includes(type));
  if (foreign)
    return `it has details of type '${foreign.type}', which the client is not registered for`;
  const { mayAct } = token;
  if (mayAct && !isNamed(mayAct, { actor, clientId: client.id })) {
    return 'its may_act names another';
  }
  if (token.subject === actor || token.actors.includes(actor)) {
    return 'the client is in the chain already';
  }
  const depthMax = Math.min(exchange.depthMax, ACTORS_MAX);
  if (token.actors.length >= depthMax) {
    return `it would be actor ${token.actors.length + 1}, and at most ${depthMax} are`;
  }
  return undefined;
}

/** The `act` claim of a token that the actor gets: itself, and within it who acted before (RFC 8693 §4.1). */
export function actClaim(actors: readonly string[]): Readonly<Record<string, unknown>> {
  const [actor, ...before] = actors;
  return before.length === 0 ? { sub: actor } : { sub: actor, act: actClaim(before) };
}

/** What the token stands on and what has been taken back of it: all that an enforcement point would refuse it for. */
async function takenBack(token: SubjectToken, standings: Standings): Promise<string | undefined> {
  const { registry, revocations, customers } = standings;
  if (revocations.covers('token', token.jti)) return 'the subject token is revoked';
  if (revocations.covers('session', token.session)) return 'its session is revoked';
  const { certificate } = token.boundTo;
  if (certificate !== undefined && revocations.covers('certificate', [certificate])) {
    return 'the certificate that it is bound to is revoked';
  }
  const holder = registry.client(token.clientId)?.registration.subject.id;
  if (holder === undefined) return `its client '${token.clientId}' is not registered`;
  for (const each of new Set([token.subject, ...token.actors, holder])) {
    const known =
      registry.subject(each) ?? (each === token.subject ? await customers?.get(each) : undefined);
    if (known?.enabled !== true) return `'${each}' is disabled or not registered`;
    if (revocations.covers('subject', each)) return `'${each}' is revoked`;
  }
  return undefined;
}

function isNamed(
  { sub, clientId }: NonNullable<SubjectToken['mayAct']>,
  of: { readonly actor: string; readonly clientId: string },
): boolean {
  if (sub === undefined && clientId === undefined) return false;
  return (
    (sub === undefined || sub === of.actor) && (clientId === undefined || clientId === of.clientId)
  );
}
