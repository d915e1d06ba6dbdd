import type { CertificateNames } from '@countersign/spiffe';
import type { Database } from '@countersign/state';
import { type Refusal, refusal } from './refusal.ts';
import type { Revocations } from './revocations.ts';
import type { ControlPeer } from './svids.ts';
import type { IdentityTables } from './tables.ts';

/** What we know of an SVID that somebody shows. */
export interface IssuedSvid {
  /** What stands behind it, and behind what is renewed of it; nothing behind one that came by a join token or a node. */
  readonly credential?: string;
  /** The node that handed it out. */
  readonly node?: string;
}

type Shown = Pick<ControlPeer, 'spiffeId' | 'names' | 'isForgotten'>;

/**
 * The SVID that a peer shows, as we issued it, or why it is none.
 *
 * Whoever has the key of an authority makes SVIDs that verify as ours do. Which we made ourselves, we know: by its hash, since no key
 * makes another certificate with the same.
 */
export async function issuedSvid(
  database: Database,
  {
    peer: { spiffeId, names, isForgotten },
    revocations,
    nowMs,
  }: {
    readonly peer: Shown;
    readonly revocations: Pick<Revocations, 'covers'>;
    readonly nowMs: number;
  },
): Promise<{ readonly isIssued: true; readonly svid: IssuedSvid } | Refusal> {
  const rows = await database
    .tables<IdentityTables>()
    .selectFrom('svid')
    .select(['thumbprint', 'credential', 'node'])
    .where('thumbprint', 'in', names)
    .where('spiffe_id', '=', spiffeId)
    .where('not_after_ms', '>', nowMs)
    .execute();
  const [thumbprint] = names;
  const own = rows.find((row) => row.thumbprint === thumbprint);
  const [twin] = rows;
  // When what brought it in is no good any more, then neither is what came of it.
  const behind = namesOfCredential((own ?? twin)?.credential ?? '');
  const revoked = [names, behind].find(
    (each) => each !== undefined && revocations.covers('certificate', each),
  );
  if (revoked !== undefined) return refusal('certificate-revoked', `found ${revoked[0]}`);
  if (own !== undefined) {
    const { credential, node } = own;
    return {
      isIssued: true,
      svid: { ...(credential !== null && { credential }), ...(node !== null && { node }) },
    };
  }
  if (isForgotten) {
    const why = 'whose authority was revoked, with all that it issued';
    return refusal('certificate-revoked', `found ${thumbprint}, ${why}`);
  }
  const why = twin
    ? `which is ${twin.thumbprint} with its signature changed: by who has its key`
    : 'which was never issued';
  return refusal('svid-unknown', `found ${thumbprint}, ${why}`);
}

/** The name of a host's certificate as a credential: the same whichever of its signatures it is shown with. */
export function certificateCredential(names: CertificateNames): string {
  return `certificate ${[...names].sort().join(' ')}`;
}

/** By which names that certificate may be kept: older versions kept it by what was shown. */
export function certificateCredentials(names: CertificateNames): readonly string[] {
  return [certificateCredential(names), ...names.map((name) => `certificate ${name}`)];
}

function namesOfCredential(credential: string): CertificateNames | undefined {
  const [kind, first, ...others] = credential.split(' ');
  return kind === 'certificate' && first !== undefined ? [first, ...others] : undefined;
}
