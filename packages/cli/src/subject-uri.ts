import type { AdminClient } from './admin-client.ts';

/** The SPIFFE ID that a person writes whole, or as its path. */
export function subjectUri(text: string, trustDomain: string): string {
  return text.startsWith('spiffe://') ? text : `spiffe://${trustDomain}/${text}`;
}

/** The trust domain of a running authority. */
export async function trustDomainOf(client: AdminClient): Promise<string> {
  return (await client.call<{ trustDomain: string }>('GET', '/v1/status')).trustDomain;
}
