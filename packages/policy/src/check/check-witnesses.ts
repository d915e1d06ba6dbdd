import { LedgerError, parseCosignerKey, witnessPolicy } from '@countersign/ledger';
import type { Place } from '../document/report.ts';
import type { BankConfig, WitnessConfig } from '../repository.ts';
import type { WrittenConfig } from './read-config.ts';
import type { CheckContext } from './repository-source.ts';

type Written = NonNullable<WrittenConfig['authority']>;
type WrittenWitness = Written['witnesses'][number];

const MEND = "take the lines that 'countersign witness init' printed, one or both";

/** Keys that can be read, of one name for each witness and of another for each other, and a quorum that can be met. */
export function checkWitnesses(config: WrittenConfig, { report }: CheckContext): void {
  const { document, authority } = config;
  if (!document || !authority) return;
  const { witnesses } = authority;
  const names = new Map<string, number>();
  let areRead = true;
  for (const [index, witness] of witnesses.entries()) {
    const place = document.at(['authority', 'witnesses', index, 'vkey']);
    const refuse = (found: string, expected: string, mend: string): void => {
      areRead = false;
      report.error(place, { found, expected, mend });
    };
    const [name, ...others] = namesOf(witness, refuse);
    if (name === undefined) continue;
    if (others.length > 0) {
      refuse(
        `keys of '${name}' and '${others[0]}'`,
        'keys of one witness, under one name',
        'make it two witnesses',
      );
    }
    const other = names.get(name);
    if (other !== undefined) {
      const expected = `another witness than entry ${other + 1}: a name counts once`;
      refuse(
        `'${name}' a second time`,
        expected,
        "remove it, or put its key into the other's list",
      );
    }
    names.set(name, index);
  }
  const quorum = authority.witnessQuorum;
  if (quorum !== undefined && quorum > witnesses.length) {
    report.error(document.at(['authority', 'witnessQuorum']), {
      found: String(quorum),
      expected: `at most the ${witnesses.length} of authority.witnesses`,
      mend: 'name more witnesses, or ask for fewer',
    });
  }
  if (areRead) checkKeysDiffer(witnesses, document.at(['authority', 'witnesses']), { report });
}

/** What `authority` says of witnesses, after {@link checkWitnesses}. */
export function witnessConfigs(
  authority: Written,
): Pick<BankConfig['authority'], 'witnesses' | 'witnessQuorum'> {
  const witnesses = authority.witnesses.map((witness): WitnessConfig => {
    const verifierKeys = keysOf(witness);
    return { url: witness.url, name: parseCosignerKey(verifierKeys[0] ?? '').name, verifierKeys };
  });
  const most = witnesses.length === 0 ? 0 : Math.floor(witnesses.length / 2) + 1;
  return { witnesses, witnessQuorum: authority.witnessQuorum ?? most };
}

function keysOf({ vkey }: WrittenWitness): readonly string[] {
  return (typeof vkey === 'string' ? [vkey] : vkey).map((each) => each.trim());
}

/** The different names of a witness's keys. */
function namesOf(
  witness: WrittenWitness,
  refuse: (found: string, expected: string, mend: string) => void,
): readonly string[] {
  const names = new Set<string>();
  for (const key of keysOf(witness)) {
    try {
      names.add(parseCosignerKey(key).name);
    } catch (error) {
      if (!(error instanceof LedgerError)) throw error;
      const [, found = error.message] = /: found (.*)$/.exec(error.message) ?? [];
      refuse(found, "a witness's verifier key: <name>+<key ID>+<base64>", MEND);
    }
  }
  return [...names];
}

/** One key under two names would count twice. */
function checkKeysDiffer(
  witnesses: readonly WrittenWitness[],
  place: Place,
  { report }: Pick<CheckContext, 'report'>,
): void {
  try {
    witnessPolicy({ quorum: 0, verifiers: witnesses.flatMap(keysOf).map(parseCosignerKey) });
  } catch (error) {
    if (!(error instanceof LedgerError)) throw error;
    const [, found = error.message] = /: found (.*)$/.exec(error.message) ?? [];
    report.error(place, {
      found,
      expected: 'keys of its own for each witness',
      mend: 'make one of them new keys',
    });
  }
}
