import { type Answer, type Exchange, readJson, refusedAnswer } from './exchange.ts';
import type { Logins } from './logins.ts';
import { enrolPage } from './pages.ts';
import { parseLabel, parseRegistration } from './shapes.ts';

/** Registering a passkey by a one-time code: `GET /enrol`, `POST /enrol/options`, `/enrol/finish`. */
export class EnrolRoutes {
  readonly #logins: Logins;

  constructor(logins: Logins) {
    this.#logins = logins;
  }

  async page(): Promise<Answer> {
    return { status: 200, html: enrolPage(this.#logins.settings.name) };
  }

  async options({ request, ip }: Exchange): Promise<Answer> {
    const { code, hardware } = (await readJson(request)) ?? {};
    if (typeof code !== 'string') return refusedAnswer(400, 'malformed');
    const made = await this.#logins.enrolOptions(code, { ip, isHardware: hardware === true });
    if (made === undefined) return refusedAnswer(401, 'code');
    return { status: 200, json: { options: made.options, hardware: made.isHardware } };
  }

  async finish({ request, ip }: Exchange): Promise<Answer> {
    const { code, hardware, label, response } = (await readJson(request)) ?? {};
    const registration = parseRegistration(response);
    if (typeof code !== 'string' || registration === undefined) {
      return refusedAnswer(400, 'malformed');
    }
    const passkey = await this.#logins.enrol(code, {
      ...{ ip, isHardware: hardware === true, label: parseLabel(label), response: registration },
    });
    return passkey === undefined ? refusedAnswer(401, 'refused') : { status: 201, json: {} };
  }
}
