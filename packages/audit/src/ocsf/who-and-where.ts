import { isIP } from 'node:net';

/** Longest `ip_t` of the schema. */
const IP_LENGTH_MAX = 40;

/** Fields of an event that say who asked, and from where. */
interface Asking {
  readonly subject?: string | undefined;
  readonly caller?: string | undefined;
  readonly session?: string | undefined;
  readonly ip?: string | undefined;
  readonly surface?: string | undefined;
}

/** OCSF `user`: the subject's SPIFFE ID, or a name that says that nobody was authenticated. */
export function userOf(subject: string | undefined): Record<string, unknown> {
  if (subject === undefined) return { name: 'unauthenticated' };
  const kind = /^spiffe:\/\/[^/]+\/([^/]+)\//.exec(subject)?.[1];
  // `type_id` knows people, administrators, systems and services; what is none of them is Other by its own name.
  const type =
    kind === undefined
      ? {}
      : kind === 'human' || kind === 'customer'
        ? { type_id: 1, type: 'User' }
        : kind === 'workload'
          ? { type_id: 4, type: 'Service' }
          : { type_id: 99, type: kind };
  return { uid: subject, ...type };
}

/** OCSF `session`, when the event names one. */
export function sessionOf(session: string | undefined): Record<string, unknown> | undefined {
  return session === undefined ? undefined : { uid: session };
}

/** OCSF `actor`: the subject, its session, and the workload through which it came. */
export function actorOf({ subject, caller, session }: Asking): Record<string, unknown> {
  return {
    user: userOf(subject),
    ...(session !== undefined && { session: { uid: session } }),
    ...(caller !== undefined && { app_uid: caller }),
  };
}

/** OCSF `src_endpoint`: the peer's address; what is no IP address (a unix socket) as a name. */
export function sourceOf({ ip, caller }: Asking): Record<string, unknown> | undefined {
  if (ip !== undefined && isIP(ip) !== 0 && ip.length <= IP_LENGTH_MAX) return { ip };
  const name = ip || caller;
  return name ? { name } : undefined;
}

/** OCSF `dst_endpoint`: the protect surface that was addressed. */
export function surfaceEndpoint(surface: string | undefined): Record<string, unknown> | undefined {
  return surface === undefined ? undefined : { svc_name: surface };
}
