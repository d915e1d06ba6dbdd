import type { Expression } from '../ast/expression.ts';
import type { LinkedPolicy } from '../ast/linked-policy.ts';
import type { AuthorizeOptions, PolicySet } from '../authorize/policy-set.ts';
import { CedarError } from '../cedar-error.ts';
import type { CedarRequest } from '../engine.ts';
import type { EntityView } from '../entity/entity-view.ts';
import { CedarDataError } from '../json/cedar-data-error.ts';
import type { Environment } from '../partial/environment.ts';
import { interpretCondition } from '../partial/interpret-condition.ts';
import type { Partial } from '../partial/partial.ts';
import { completeEnvironment } from '../partial/partial-environment.ts';
import type { CoverageReport, PointCoverage, PolicyCoverage } from './coverage-report.ts';
import { type Point, type PolicyPoints, pointsOf } from './points-of.ts';
import { statusOf, totalsOf } from './totals-of.ts';

/** Collects what requests reach in a set's policies. */
export interface Coverage {
  /** Evaluates every policy for one request, without deciding it. */
  observe(
    request: CedarRequest,
    entities: EntityView,
    options?: Pick<AuthorizeOptions, 'validateRequest'>,
  ): void;
  /** What was reached so far. */
  report(): CoverageReport;
}

/** Starts with nothing reached. */
export function createCoverage(set: PolicySet): Coverage {
  const counters = set.policies.map((policy) => new PolicyCounter(policy));
  let requests = 0;
  let refused = 0;
  return {
    observe(json, entities, options) {
      requests += 1;
      try {
        const request = set.parseRequest(json, options);
        const environment = completeEnvironment(request, {
          entities: set.view(entities),
          schema: set.schema,
        });
        for (const counter of counters) counter.observe(environment);
      } catch (error) {
        if (!(error instanceof CedarDataError || error instanceof CedarError)) throw error;
        refused += 1;
      }
    },
    report() {
      const policies = counters
        .map((counter) => counter.report())
        .sort((one, other) => (one.id < other.id ? -1 : 1));
      return { requests, refused, policies, totals: totalsOf(policies) };
    },
  };
}

interface Seen {
  true: number;
  false: number;
  error: number;
  other: number;
}

/** Owned by one coverage: what one policy's points came to. */
class PolicyCounter {
  readonly #policy: LinkedPolicy;
  readonly #points: PolicyPoints;
  // By the point's expression: no two points have one.
  readonly #seen: ReadonlyMap<Expression, Seen>;
  #reached = 0;
  #satisfied = 0;
  #errored = 0;

  constructor(policy: LinkedPolicy) {
    this.#policy = policy;
    this.#points = pointsOf(policy);
    this.#seen = new Map(
      this.#points.points.map(({ expression }) => [
        expression,
        { true: 0, false: 0, error: 0, other: 0 },
      ]),
    );
  }

  observe(environment: Environment): void {
    const watched = { ...environment, observe: this.#count };
    for (const condition of this.#points.scope) {
      if (!holds(interpretCondition(condition, watched))) return;
    }
    this.#reached += 1;
    for (const { body, kind } of this.#policy.conditions) {
      const partial = interpretCondition(body, watched);
      if (partial.kind === 'failed') {
        this.#errored += 1;
        return;
      }
      if (holds(partial) !== (kind === 'when')) return;
    }
    this.#satisfied += 1;
  }

  readonly #count = (expression: Expression, partial: Partial): void => {
    const seen = this.#seen.get(expression);
    if (!seen) return;
    if (partial.kind === 'failed') seen.error += 1;
    else if (partial.kind === 'known' && typeof partial.value === 'boolean') {
      seen[partial.value ? 'true' : 'false'] += 1;
    } else seen.other += 1;
  };

  report(): PolicyCoverage {
    const { effect, id } = this.#policy;
    return {
      id,
      effect,
      reach: this.#satisfied > 0 ? 'satisfied' : this.#reached > 0 ? 'scope' : 'never',
      reached: this.#reached,
      satisfied: this.#satisfied,
      errored: this.#errored,
      points: this.#points.points.map((point) => this.#reportPoint(point)),
    };
  }

  #reportPoint({ expression, kind, span }: Point): PointCoverage {
    const seen = { ...(this.#seen.get(expression) as Seen) };
    const text = this.#policy.text.slice(span.start, span.end);
    return { kind, text, span, seen, status: statusOf(kind, seen) };
  }
}

function holds(partial: Partial): boolean {
  return partial.kind === 'known' && partial.value === true;
}
