import type { Approvals, Approved } from '../issuer/ciba/approvals.ts';
import type { AccountRoutes } from './account-routes.ts';
import { type Answer, readJson, refusedAnswer } from './exchange.ts';
import { parseAuthentication } from './shapes.ts';

const REFUSED: Readonly<Record<Exclude<Approved, 'approved'>, Answer>> = {
  over: refusedAnswer(409, 'approval-over'),
  refused: refusedAnswer(401, 'refused'),
  'hardware-needed': refusedAnswer(403, 'hardware-needed'),
};

/** What a client asked a person for, at that person's own page: `POST /account/approval/options`, `…/approve`, `…/deny`. */
export class ApprovalRoutes {
  readonly options: ReturnType<AccountRoutes['changing']>;
  readonly approve: ReturnType<AccountRoutes['changing']>;
  readonly deny: ReturnType<AccountRoutes['changing']>;

  constructor(account: AccountRoutes, approvals: Approvals) {
    this.options = account.changing(async (session, { request, ip }) => {
      const { id } = (await readJson(request)) ?? {};
      const options = typeof id === 'string' && (await approvals.options(session, { id, ip }));
      return options ? { status: 200, json: options } : REFUSED.over;
    });
    this.approve = account.changing(async (session, { request, ip }) => {
      const { id, response } = (await readJson(request)) ?? {};
      const assertion = parseAuthentication(response);
      if (typeof id !== 'string' || assertion === undefined) return refusedAnswer(400, 'malformed');
      const approved = await approvals.approve(session, { id, response: assertion, ip });
      return approved === 'approved' ? DONE : REFUSED[approved];
    });
    this.deny = account.changing(async (session, { request }) => {
      const { id } = (await readJson(request)) ?? {};
      const isDenied = typeof id === 'string' && (await approvals.deny(session, id));
      return isDenied ? DONE : REFUSED.over;
    });
  }
}

const DONE: Answer = { status: 200, json: { location: '/account' } };
