import type { Place, Report } from '../document/report.ts';

/**
 * Tells when one of a certificate's file and its key's is there without the other.
 *
 * @param pair keys as they are written, and what is written there
 * @param at where a key stands
 */
export function checkCertificatePair(
  pair: Readonly<Record<string, string | undefined>>,
  { report, at }: { readonly report: Report; readonly at: (key: string) => Place },
): void {
  const keys = Object.keys(pair);
  const written = keys.filter((key) => pair[key] !== undefined);
  const [has] = written;
  if (has === undefined || written.length === keys.length) return;
  const lacks = keys.find((key) => key !== has);
  report.error(at(has), {
    found: `'${has}' without '${lacks}'`,
    expected: 'both, or neither',
    mend: `add '${lacks}'`,
  });
}
