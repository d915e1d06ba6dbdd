import {
  and,
  FALSE,
  factsOf,
  isFalse,
  lengthOf,
  not,
  or,
  type Predicate,
  TRUE,
} from './predicate.ts';
import { Untranslatable } from './untranslatable.ts';

/**
 * A boolean or an error, in each row. Each of its three sides is worked out when it is asked for: a permit needs
 * no more than `holds`, and the others may be far longer.
 */
export class Truth {
  /** Whether it is never an error. */
  readonly isTotal: boolean;
  readonly #sides: Sides;
  #holds: Predicate | undefined;
  #fails: Predicate | undefined;
  #defined: Predicate | undefined;

  constructor(isTotal: boolean, sides: Sides) {
    this.isTotal = isTotal;
    this.#sides = sides;
  }

  /** Where it is true. */
  get holds(): Predicate {
    this.#holds ??= this.#sides.holds();
    return this.#holds;
  }

  /** Where it is false. */
  get fails(): Predicate {
    this.#fails ??= this.isTotal ? not(this.holds) : this.#sides.fails();
    return this.#fails;
  }

  /** Where it is no error. */
  get defined(): Predicate {
    this.#defined ??= this.isTotal ? TRUE : this.#sides.defined();
    return this.#defined;
  }

  /** What is certain where it is true. */
  get factsWhereTrue(): readonly Predicate[] {
    return [...factsOf(this.defined), ...factsOf(this.holds)];
  }

  get factsWhereFalse(): readonly Predicate[] {
    return [...factsOf(this.defined), ...factsOf(this.fails)];
  }
}

/** `fails` and `defined` are asked for only where an error is possible. */
interface Sides {
  holds(): Predicate;
  fails(): Predicate;
  defined(): Predicate;
}

export const CERTAINLY_FALSE: Truth = new Truth(true, {
  holds: () => FALSE,
  fails: () => TRUE,
  defined: () => TRUE,
});

/** A boolean given case by case; the cases exclude each other. */
export function truthOfCases(
  cases: readonly { readonly when: Predicate; readonly holds: Predicate }[],
  isTotal: boolean,
): Truth {
  return new Truth(isTotal, {
    holds: () => or(...cases.map(({ when, holds }) => and(when, holds))),
    fails: () => or(...cases.map(({ when, holds }) => and(when, not(holds)))),
    defined: () => or(...cases.map(({ when }) => when)),
  });
}

export function negation(truth: Truth): Truth {
  return new Truth(truth.isTotal, {
    holds: () => truth.fails,
    fails: () => truth.holds,
    defined: () => truth.defined,
  });
}

/** @param makeRight asked only where the left side can be true, and told what is certain then */
export function conjunction(left: Truth, makeRight: (facts: readonly Predicate[]) => Truth): Truth {
  if (isFalse(left.holds)) return left;
  const right = makeRight(left.factsWhereTrue);
  const holds = () => and(left.holds, right.holds);
  const fails = () => or(left.fails, and(left.holds, right.fails));
  const defined = () =>
    right.isTotal ? left.defined : and(left.defined, or(not(left.holds), right.defined));
  return new Truth(left.isTotal && right.isTotal, {
    holds,
    fails: () => plain(fails, () => and(defined(), not(holds()))),
    defined: () => shorter(defined, () => or(holds(), fails())),
  });
}

/** @param makeRight asked only where the left side can be false, and told what is certain then */
export function disjunction(left: Truth, makeRight: (facts: readonly Predicate[]) => Truth): Truth {
  if (isFalse(left.fails)) return left;
  const right = makeRight(left.factsWhereFalse);
  // Where the left side is true it decides anyway, so that `!a` may be weakened to `a is no error`.
  const open = () =>
    shorter(
      () => left.defined,
      () => left.fails,
    );
  const holds = () => or(left.holds, and(open(), right.holds));
  const fails = () => and(left.fails, right.fails);
  const defined = () =>
    right.isTotal ? left.defined : and(left.defined, or(left.holds, right.defined));
  return new Truth(left.isTotal && right.isTotal, {
    holds: () => plain(holds, () => and(defined(), not(fails()))),
    fails,
    defined: () => shorter(defined, () => or(holds(), fails())),
  });
}

/** `if condition then … else …` of booleans. */
export function choice(condition: Truth, one: Truth, other: Truth): Truth {
  const side = (ofOne: () => Predicate, ofOther: () => Predicate) =>
    or(and(condition.holds, ofOne()), and(condition.fails, ofOther()));
  return new Truth(condition.isTotal && one.isTotal && other.isTotal, {
    holds: () =>
      side(
        () => one.holds,
        () => other.holds,
      ),
    fails: () =>
      side(
        () => one.fails,
        () => other.fails,
      ),
    defined: () =>
      one.isTotal && other.isTotal
        ? condition.defined
        : side(
            () => one.defined,
            () => other.defined,
          ),
  });
}

/**
 * How much longer the plain way may be: a database finds an index for `a OR b`, and none for
 * `NOT (NOT a AND NOT b)`.
 */
const PLAIN_FACTOR = 4;

/** The plain way to say it, unless the other is far shorter or the plain one too long to be said at all. */
function plain(one: () => Predicate, other: () => Predicate): Predicate {
  const first = attempt(one);
  if (first instanceof Untranslatable) return other();
  const second = attempt(other);
  if (second instanceof Untranslatable) return first;
  return lengthOf(second) * PLAIN_FACTOR < lengthOf(first) ? second : first;
}

/** Two ways to say the same, of which one may be too long to be said. */
function shorter(one: () => Predicate, other: () => Predicate): Predicate {
  const first = attempt(one);
  if (first instanceof Untranslatable) return other();
  const second = attempt(other);
  if (second instanceof Untranslatable) return first;
  return lengthOf(second) < lengthOf(first) ? second : first;
}

function attempt(make: () => Predicate): Predicate | Untranslatable {
  try {
    return make();
  } catch (error) {
    if (error instanceof Untranslatable) return error;
    throw error;
  }
}
