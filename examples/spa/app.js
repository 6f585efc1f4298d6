// A page that signs in, calls the API, refreshes its tokens and logs out. All of its tabs have one session.

const api = document.querySelector("meta[name=api]").content
const element = (id) => document.getElementById(id)

// ---- The session ----------------------------------------------------------------------------------------------------

// The tokens are in memory. The refresh token is also in sessionStorage, so that a reload signs nobody out. That
// storage belongs to one tab and ends with it. A script in this page could read it: hence the Content-Security-Policy,
// which lets no other script run, and textContent as the only way to show something.
//
// The alternatives cost more. With memory alone, a user signs in again after each reload. localStorage keeps the token
// on disk after the browser has ended. A script cannot read an HttpOnly cookie, but still use it, and the cookie needs
// a server that turns it into a token, and a defence against requests that pages of other sites send with it.
const stored = "refresh_token"
let session = null // tokens "access" and "refresh", "user", and "until": when access expires, by this machine's clock

// A tab tells the others about each new session, and by null that there is none any more. Who has none, or an old one,
// asks. Each tab holds a lock, which shows that it is there.
const tabs = new BroadcastChannel("session")
let answered = () => {}

tabs.onmessage = ({ data }) => {
	if (data === "ask") return session && tabs.postMessage(session)
	if (!data || !session || data.until > session.until) keep(data)
	answered()
}
navigator.locks.request("tab", { mode: "shared" }, () => new Promise(() => {}))

async function ask() {
	const { held } = await navigator.locks.query()
	if (held.filter(({ name }) => name === "tab").length < 2) return
	await new Promise((resolve) => {
		answered = resolve
		setTimeout(resolve, 1000) // the others may have no session
		tabs.postMessage("ask")
	})
}

function keep(value) {
	session = value
	if (session) sessionStorage.setItem(stored, session.refresh)
	else sessionStorage.removeItem(stored)
	show()
}

function share(value) {
	keep(value)
	tabs.postMessage(value)
}

// ---- The API --------------------------------------------------------------------------------------------------------

// fresh returns a session whose access token is good for a few more seconds, and is not the one that was refused. A
// refresh token is good for one use, and a second use ends the session (RFC 9700 section 4.14.2). So one tab at a time
// refreshes, and asks before whether another one has done it.
async function fresh(refused) {
	const good = () => session && session.access !== refused && session.until > Date.now() + 5000
	if (!good()) {
		await navigator.locks.request("session", async () => {
			await ask()
			if (!good()) await refresh()
		})
	}
	return session
}

async function refresh() {
	const token = session?.refresh ?? sessionStorage.getItem(stored)
	if (!token) throw new Error("Please sign in.")
	const answer = await post("refresh", { grant_type: "refresh_token", refresh_token: token })
	if (answer.status === 401) {
		share(null)
		throw new Error("Your session has ended. Please sign in.")
	}
	await begin(answer) // any other trouble may pass, and leaves the session as it was
}

async function login(form) {
	await begin(await post("login", Object.fromEntries(new FormData(form))))
	form.reset()
}

// begin takes the pair of tokens in an answer.
async function begin(answer) {
	const pair = await answer.json()
	if (!answer.ok) throw new Error(pair.error_description)
	share({
		access: pair.access_token,
		refresh: pair.refresh_token,
		user: pair.sub,
		until: Date.now() + (pair.exp - pair.iat) * 1000, // the server's clock may differ from ours
	})
}

function post(path, body) {
	return fetch(api + path, {
		method: "POST",
		headers: { "Content-Type": "application/json" },
		body: JSON.stringify(body),
	})
}

// call sends a request with an access token, and once more with a new one if that was refused.
async function call(method, path) {
	const send = ({ access }) => fetch(api + path, { method, headers: { Authorization: `Bearer ${access}` } })
	const used = await fresh()
	let answer = await send(used)
	if (answer.status === 401) answer = await send(await fresh(used.access))
	if (!answer.ok) throw new Error(`The API has answered ${answer.status}.`)
	return answer.text()
}

async function logout() {
	await call("POST", "logout")
	await navigator.locks.request("session", () => share(null)) // after a refresh of another tab that is under way
}

// ---- The page -------------------------------------------------------------------------------------------------------

function show() {
	element("login").hidden = session !== null
	element("orders").hidden = session === null
	element("user").textContent = session?.user ?? ""
	if (!session) say("") // what the API has said is for nobody else
}

function say(text) {
	element("message").textContent = text
}

function on(event, id, act) {
	element(id).addEventListener(event, async (e) => {
		e.preventDefault()
		await act(e.currentTarget).then((text) => say(text ?? ""), (error) => say(error.message))
	})
}

on("submit", "login", login)
on("click", "load", () => call("GET", "today"))
on("click", "logout", logout)
show()
fresh().catch((error) => say(error.message))
