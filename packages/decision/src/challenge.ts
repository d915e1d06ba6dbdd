import type { Challenge } from '@countersign/model';
import { DecisionError } from './decision-error.ts';

const WORD = /^(?:acr=(?<acr>[\x21\x23-\x5B\x5D-\x7E]{1,200})|max_age=(?<maxAge>[0-9]{1,9}))$/;

/**
 * Reads the annotation `@challenge("acr=phr max_age=300")` of a forbid: what a caller must come back
 * with. `acr` may stand several times, the preferred first (RFC 9470 §3, `acr_values`).
 *
 * @throws {DecisionError} `ERR_DECISION_BUNDLE_INVALID` when it says anything else, or nothing
 */
export function parseChallenge(text: string, policy: string): Challenge {
  const acrValues: string[] = [];
  let maxAgeSeconds: number | undefined;
  const words = text.split(' ').filter((word) => word !== '');
  for (const word of words) {
    const { acr, maxAge } = WORD.exec(word)?.groups ?? {};
    if (acr !== undefined) acrValues.push(acr);
    else if (maxAge !== undefined && maxAgeSeconds === undefined) maxAgeSeconds = Number(maxAge);
    else throw invalid(word, policy);
  }
  if (words.length === 0) throw invalid('', policy);
  return {
    ...(acrValues.length > 0 && { acrValues }),
    ...(maxAgeSeconds !== undefined && { maxAgeSeconds }),
  };
}

/** What satisfies one after the other: all that any of them accepts, as young as the strictest asks. */
export function mergeChallenges(challenges: readonly Challenge[]): Challenge {
  const acrValues = [...new Set(challenges.flatMap((challenge) => challenge.acrValues ?? []))];
  const ages = challenges.flatMap(({ maxAgeSeconds: age }) => (age === undefined ? [] : [age]));
  return {
    ...(acrValues.length > 0 && { acrValues }),
    ...(ages.length > 0 && { maxAgeSeconds: Math.min(...ages) }),
  };
}

function invalid(found: string, policy: string): DecisionError {
  return new DecisionError(
    'ERR_DECISION_BUNDLE_INVALID',
    `cannot load policy '${policy}': found @challenge '${found.slice(0, 100)}', expected acr=<value> or max_age=<seconds>`,
  );
}
