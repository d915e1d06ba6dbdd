import type { PeopleConfig, ScimClient } from '@countersign/identity';
import type { BankConfig } from '@countersign/policy';

/** What the configuration says of people, as the identity room takes it; nothing where it says nothing. */
export function peopleOptions({ trustDomain, authority: { people } }: BankConfig): {
  readonly people?: PeopleConfig;
  readonly scimClients?: readonly ScimClient[];
} {
  if (!people) return {};
  const { scim, ...config } = people;
  return {
    people: config,
    ...(scim && {
      scimClients: scim.clients.map(({ subject, ...client }) => ({
        ...client,
        ...(subject !== undefined && { subject: `spiffe://${trustDomain}/${subject}` }),
      })),
    }),
  };
}

/** By which names the authority's own SVID is asked for at the SCIM listener. */
export function scimHosts({ authority: { people } }: BankConfig): readonly string[] {
  if (!people?.scim) return [];
  return [people.scim.address.host, new URL(people.scim.url).hostname];
}
