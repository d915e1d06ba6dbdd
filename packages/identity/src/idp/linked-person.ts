import type { SubjectIdentifier } from '../signals/subject-identifier.ts';
import type { ProviderOperations } from './open-provider-logins.ts';

/** The person whose account at a provider an identifier of a transmitter names; nothing when it names none, of another issuer, or of the other kind. */
export async function linkedPerson(
  identifier: SubjectIdentifier,
  {
    issuer,
    kind,
    links,
  }: {
    /** `iss` that the transmitter's `iss_sub` subjects have. */
    readonly issuer: string;
    readonly kind: string;
    readonly links: Pick<ProviderOperations, 'linked'> | undefined;
  },
): Promise<string | undefined> {
  const simple = identifier.format === 'complex' ? identifier.user : identifier;
  if (simple?.format !== 'iss_sub' || simple.iss !== issuer) return undefined;
  return links?.linked({ iss: simple.iss, sub: simple.sub, kind });
}
