import type { CedarAnswer, CedarJson } from '@countersign/cedar';
import type {
  Decision,
  DenialReason,
  PolicyError,
  ResourceRef,
  Subject,
  SubjectEntity,
} from '@countersign/model';
import { subjectUid } from './cedar-context.ts';
import { mergeChallenges } from './challenge.ts';
import type { FactView } from './decision-point.ts';
import type { LoadedBundle } from './load-bundle.ts';

/** What is asked, with its context made: the same whether it is asked now or again. */
export interface Question {
  readonly subject: Subject;
  readonly subjectEntity?: SubjectEntity;
  readonly actors: readonly Subject[];
  readonly caller?: Subject;
  readonly surface: string;
  readonly action: string;
  readonly resource: ResourceRef;
  /** Made when it is needed; what it throws is an errored decision. */
  readonly context: () => { readonly [name: string]: CedarJson };
}

/** Cedar skips a forbid that errors and would let the permit beside it stand: it fails open. */
const STRICT = { strict: true } as const;

type Verdict = Pick<Decision, 'effect' | 'reason' | 'policies' | 'errors' | 'challenge'>;

/** Decides; never throws. Deny is the default, and every error is a deny with its reason. */
export function evaluate(
  question: Question,
  { loaded, facts }: { readonly loaded: LoadedBundle | undefined; readonly facts: FactView },
): Decision {
  const startMs = performance.now();
  const verdict = judge(question, loaded, facts);
  return {
    ...verdict,
    obligations: [],
    policyVersion: loaded?.bundle.version ?? '',
    factSequence: facts.sequence,
    microseconds: Math.round((performance.now() - startMs) * 1000),
  };
}

function judge(question: Question, loaded: LoadedBundle | undefined, facts: FactView): Verdict {
  if (!loaded) return deny('policy-missing');
  const refusal = checkSubjects(question, facts);
  if (refusal) return deny(refusal);
  const namespace = loaded.namespaces.get(question.surface);
  if (namespace === undefined) {
    const message = `found no surface '${question.surface}' in the bundle`;
    return deny('policy-error', [{ policy: '', message }]);
  }
  const { type, id, parents } = question.resource;
  try {
    const principal = subjectUid(question.subject);
    const request = loaded.policies.parseRequest({
      principal,
      action: { type: `${namespace}::Action`, id: question.action },
      resource: { type, id },
      context: question.context(),
    });
    const entity = vouchedEntity(question, facts);
    const entities = loaded.entities(
      facts,
      { uid: { type, id }, parents },
      entity && { uid: principal, entity },
    );
    // Facts about who asks and what is asked for must fit the schema, also where no policy looks at them.
    entities.find(request.principal);
    entities.find(request.resource);
    return toVerdict(loaded.policies.authorize(request, entities, STRICT), loaded);
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    return deny('policy-error', [{ policy: '', message: message.slice(0, 1000) }]);
  }
}

/**
 * Whoever stands in the chain must still be good: the subject, and each agent that acts for it. The
 * caller was authenticated by its certificate; it is refused here when it has been disabled since.
 */
function checkSubjects(question: Question, facts: FactView): DenialReason | undefined {
  for (const { id } of [question.subject, ...question.actors]) {
    const fact = facts.subject(id);
    if (!fact && id === question.subject.id && vouchedEntity(question, facts)) continue;
    if (!fact) return 'peer-unregistered';
    if (!fact.enabled) return 'subject-disabled';
  }
  const caller = question.caller && facts.subject(question.caller.id);
  return caller?.enabled === false ? 'subject-disabled' : undefined;
}

/** INVARIANT: a token tells of customers only, and of none whom a fact knows: that one is registered, and may be disabled. */
function vouchedEntity(
  { subject, subjectEntity }: Pick<Question, 'subject' | 'subjectEntity'>,
  facts: FactView,
): SubjectEntity | undefined {
  return subject.kind === 'customer' && !facts.subject(subject.id) ? subjectEntity : undefined;
}

function toVerdict(answer: CedarAnswer, loaded: LoadedBundle): Verdict {
  const { reasons: policies, errors } = answer;
  if (answer.erroredForbids.length > 0) return { ...deny('policy-error', errors), policies };
  if (answer.decision === 'allow') {
    return { effect: 'permit', reason: 'policy-permits', policies, errors };
  }
  if (policies.length === 0) {
    return deny(errors.length > 0 ? 'policy-error' : 'policy-none-permits', errors);
  }
  const challenges = policies.flatMap((id) => loaded.challenges.get(id) ?? []);
  // A forbid that no stronger authentication lifts makes coming back pointless.
  if (challenges.length < policies.length) return { ...deny('policy-forbids', errors), policies };
  return {
    effect: 'challenge',
    reason: 'authentication-insufficient',
    policies,
    errors,
    challenge: mergeChallenges(challenges),
  };
}

function deny(reason: DenialReason, errors: readonly PolicyError[] = []): Verdict {
  return { effect: 'deny', reason, policies: [], errors };
}
