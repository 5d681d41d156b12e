"""A reader's progress, kept by the site in the reader's browser: below a path, as on the real host, and from a file."""

import json
import re
import sys

import pages
import pytest

sys.path.insert(0, str(pages.ROOT / "book" / "_ext"))
import progress

needs_browser = pytest.mark.skipif(pages.executable() is None, reason=pages.REMEDY)
KEY = "ntk-tutorial-progress-1"
PARTS = progress.book()
BOOK = [chapter for part in PARTS for chapter in part["chapters"]]
FIRST, SECOND = BOOK[:2]
HOME = "book/index"
CONTROLS = ".ntk-standing, .ntk-end, .ntk-solved, .ntk-first, .ntk-button, .ntk-score, #ntk-next > *, #ntk-progress > *"
SPEAKING = {"fetch", "xhr", "ping", "websocket", "eventsource"}
STAY = 2500  # milliseconds: a little more than what the page takes for reading
QUESTION = '<div class="quiz">\n\n**1.** {}?\n\n{}\n</div>'
ANSWER = '<details class="{}"><summary>{}</summary>\n\n{}\n\n</details>'
# Storage that refuses to read or to write what is ours; the theme keeps its colours there, and is left alone.
REFUSE = """for (const name of %s) {
  const real = Storage.prototype[name];
  Storage.prototype[name] = function (key, ...rest) {
    if (key.startsWith('ntk')) throw new DOMException('no', 'SecurityError');
    return real.call(this, key, ...rest);
  };
}"""


@pytest.fixture(scope="module")
def address():
    """The site below a path."""
    assert (pages.SITE / "index.html").exists(), "There is no built site to look at: run `make book` first"
    with pages.published("https://host/some/where/") as address:
        yield address


@pytest.fixture
def reader(browser, address):
    """Make a reader, who opens pages with one browser's storage; nothing may go wrong in them, nor leave them."""
    contexts, problems = [], []

    def asks(request):
        if request.resource_type in SPEAKING or not request.url.startswith((address, "data:", "blob:", "file:")):
            problems.append(f"asks: {request.url}")

    def make(stored=None, script="", **options):
        context = browser.new_context(**{"viewport": pages.SIZES["wide"]} | options)
        contexts.append(context)
        context.on("weberror", lambda error: problems.append(str(error.error)))
        context.on("console", lambda m: problems.append(m.text) if m.type in ("error", "warning") else None)
        context.on("request", asks)
        context.route("**/mathjax/**", lambda route: route.fulfill(body=""))  # most of the time would go into formulas
        context.add_init_script(script)
        if stored is not None:
            put(context, address, stored)

        def open_page(name, base=address):
            page = context.new_page()
            page.goto(f"{base}{name}.html", wait_until="domcontentloaded")
            return page

        return open_page

    yield make
    for context in contexts:
        context.close()
    assert problems == []


def put(context, address, stored):
    """Store a text, or a state as JSON."""
    page = context.new_page()
    page.route("**", lambda route: route.fulfill(body="", content_type="text/html"))
    page.goto(address)
    text = stored if isinstance(stored, str) else json.dumps(stored)
    page.evaluate("([key, text]) => localStorage.setItem(key, text)", [KEY, text])
    page.close()


def stored(page):
    text = page.evaluate("key => localStorage.getItem(key)", KEY)
    return None if text is None else json.loads(text)["chapters"]


def state(chapters, **more):
    return {"version": 1, "chapters": chapters, **more}


def everything(chapter):
    answers = {question["id"]: question["right"] for question in chapter["questions"]}
    return {"read": True, "answers": answers, "solved": chapter["exercises"]}


def marks(page):
    """Read the marks in the sidebar, by chapter."""
    found = page.locator(".bd-links .ntk-standing [role=img]").evaluate_all(
        "marks => marks.map(mark => [new URL(mark.closest('a').href).pathname, mark.ariaLabel])"
    )
    return {path.removeprefix("/some/where/").removesuffix(".html"): said for path, said in found}


def rows(page):
    cells = page.locator(".ntk-counts :is(tbody, tfoot) tr").evaluate_all(
        "rows => rows.map(row => [...row.cells].map(cell => cell.innerText.trim()))"
    )
    return {title: counts for title, *counts in cells}


def read_from(page, selector, where="start"):
    """Bring a part to the start or center of the window and stay."""
    page.locator(selector).evaluate("(part, block) => part.scrollIntoView({behavior: 'instant', block})", where)
    page.wait_for_timeout(STAY)


# What the book says of itself


@pytest.mark.parametrize("chapter", BOOK, ids=lambda chapter: chapter["page"].split("/")[-1])
def test_the_book_knows_the_questions_and_exercises_of_its_pages(chapter):
    page = (pages.SITE / f"{chapter['page']}.html").read_text()
    quizzes = page.split('<div class="quiz">')[1:]
    kinds = [re.findall(r'<details class="(right|wrong)">', quiz.split("</div>")[0]) for quiz in quizzes]
    assert [kind.index("right") for kind in kinds] == [question["right"] for question in chapter["questions"]]
    assert re.findall(r'<div class="exercise admonition" id="(ex-\S+)"', page) == sorted(
        chapter["exercises"], key=lambda label: page.index(f'id="{label}"')
    )


def test_questions_have_different_names():
    names = [question["id"] for chapter in BOOK for question in chapter["questions"]]
    assert len(set(names)) == len(names) > 40


def test_a_question_is_another_once_its_words_or_answers_change():
    def name(question, answer, reason):
        kinds = [ANSWER.format("right", answer, reason), ANSWER.format("wrong", "No", "Why not.")]
        (found,) = progress.questions("Words.\n\n" + QUESTION.format(question, "\n".join(kinds)) + "\n\nMore words.")
        assert found["right"] == 0
        return found["id"]

    first = name("Is it", "Yes", "So it is.")
    assert first == name("Is it", "Yes", "A better reason.")
    assert len({first, name("Was it", "Yes", "So it is."), name("Is it", "Indeed", "So it is.")}) == 3


# In the browser


@needs_browser
def test_a_new_reader_sees_no_marks(reader):
    open_page = reader()
    page = open_page(HOME)
    assert page.locator("#ntk-progress button:visible").all_inner_texts() == ["Restore from a file"]
    assert page.locator("#ntk-progress table, .ntk-standing").count() == 0
    page = open_page(FIRST["page"])
    read_from(page, "#you-will-be-able-to", "center")  # to look at a page's beginning is not yet to read it
    assert marks(page) == {} and page.locator(".ntk-first").count() == 0
    assert page.get_by_text("Not begun.").is_visible() and stored(page) is None


@needs_browser
def test_reading_to_the_end_marks_a_chapter(reader):
    open_page = reader()
    page = open_page(FIRST["page"])
    page.locator("#summary").evaluate("part => part.scrollIntoView({behavior: 'instant'})")
    page.wait_for_timeout(500)  # passing by is not reading
    read_from(page, "#where-it-breaks")
    assert marks(page) == {FIRST["page"]: "begun"}
    go_on = open_page(HOME).locator("#ntk-next a")
    assert go_on.inner_text() == FIRST["title"]
    assert go_on.evaluate("link => link.href").endswith(f"{FIRST['page']}.html#where-it-breaks")
    read_from(page, "#summary")
    assert marks(page) == {FIRST["page"]: "read"} and page.get_by_text("Read. Quiz").is_visible()
    assert open_page(HOME).locator("#ntk-next").inner_text() == f"Next: {SECOND['title']}"


@needs_browser
def test_the_reader_has_the_last_word(reader):
    page = reader(state({FIRST["page"]: {"read": True}}))(FIRST["page"])
    page.get_by_role("button", name="Mark as unread").press("Enter")
    assert marks(page) == {FIRST["page"]: "begun"}
    page.reload(wait_until="domcontentloaded")
    read_from(page, "#summary")
    assert marks(page) == {FIRST["page"]: "begun"}, "it was marked as unread by hand"
    page.get_by_role("button", name="Mark as read").click()
    assert marks(page) == {FIRST["page"]: "read"}


@needs_browser
def test_the_answer_opened_first_counts(reader):
    page = reader()(FIRST["page"])
    quizzes, (one, two, *_) = page.locator(".quiz"), FIRST["questions"]
    total = len(FIRST["questions"])
    wrong = (one["right"] + 1) % quizzes.nth(0).locator("summary").count()
    quizzes.nth(0).locator("summary").nth(wrong).click()
    quizzes.nth(0).locator("summary").nth(one["right"]).click()
    quizzes.nth(1).locator("summary").nth(two["right"]).press("Enter")
    assert stored(page)[FIRST["page"]]["answers"] == {one["id"]: wrong, two["id"]: two["right"]}
    for _ in range(2):
        assert page.locator(".ntk-score").inner_text() == f"2 of {total} answered, 1 of {total} right at the first try."
        first = quizzes.locator("summary:has(.ntk-first)")
        assert first.count() == 2 and "your first answer" in first.nth(0).inner_text()
        assert quizzes.nth(0).locator("summary").nth(wrong).locator(".ntk-first").count() == 1
        page.reload(wait_until="domcontentloaded")
    assert quizzes.locator("details[open]").count() == 0


@needs_browser
def test_printing_and_finding_in_the_page_are_no_answers(reader):
    page = reader()(FIRST["page"])
    page.evaluate("document.querySelectorAll('details').forEach(part => { part.open = true; })")
    page.wait_for_timeout(200)
    assert stored(page) is None
    page.emulate_media(media="print")
    assert page.locator(CONTROLS).filter(visible=True).count() == 0


@needs_browser
def test_solved_exercises_stay_solved(reader):
    open_page = reader()
    page, other = open_page(FIRST["page"]), open_page(FIRST["page"])
    boxes = page.get_by_role("checkbox", name=re.compile(r"^Solved \(Exercise \d+\.\d+\)$"))
    assert boxes.count() == len(FIRST["exercises"])
    boxes.nth(0).press(" ")
    page.locator(".ntk-solved").nth(2).click()
    other.wait_for_function("document.querySelectorAll('.ntk-solved :checked').length == 2")  # told by the first page
    page.reload(wait_until="domcontentloaded")
    assert [box.is_checked() for box in boxes.all()][:3] == [True, False, True]
    assert rows(open_page(HOME))[PARTS[0]["title"]][2].startswith("2 of ")
    boxes.nth(0).uncheck()
    assert len(stored(page)[FIRST["page"]]["solved"]) == 1


@needs_browser
def test_the_landing_page_counts_what_the_book_has(reader):
    gone = {"book/gone": {"read": True}, FIRST["page"]: everything(FIRST)}
    gone[FIRST["page"]] |= {"answers": {"0123456789": 0}, "solved": ["ex-gone", FIRST["exercises"][0]]}
    open_page = reader(state(gone))
    assert not open_page(FIRST["page"]).locator(".ntk-score").is_visible()
    page = open_page(HOME)
    total = [len(BOOK), sum(len(chapter["questions"]) for chapter in BOOK)]
    total.append(sum(len(chapter["exercises"]) for chapter in BOOK))
    assert rows(page)["All"] == [f"{n} of {m}" for n, m in zip((1, 0, 1), total, strict=True)]
    page = reader(state({chapter["page"]: everything(chapter) for chapter in BOOK}))(HOME)
    assert page.get_by_text("You have read all chapters.").is_visible()
    found = rows(page)
    assert list(found) == [*(part["title"] for part in PARTS), "All"]
    assert found["All"] == [f"{n} of {n}" for n in total]
    for part in PARTS:
        kinds = [[1], *([len(chapter[kind]) for chapter in part["chapters"]] for kind in ("questions", "exercises"))]
        kinds[0] *= len(part["chapters"])
        assert found[part["title"]] == [f"{sum(kind)} of {sum(kind)}" for kind in kinds]
    assert marks(page) == dict.fromkeys((chapter["page"] for chapter in BOOK), "read")
    assert page.locator("dt .ntk-standing").count() == len(BOOK)  # and beside the names in the page's own lists


@needs_browser
def test_saved_cleared_and_restored(reader, tmp_path):
    before = state({FIRST["page"]: everything(FIRST)}, last=FIRST["page"])
    page = reader(before)(HOME)
    with page.expect_download() as download:
        page.get_by_role("button", name="Save to a file").click()
    assert re.fullmatch(r"ntk-progress-\d{4}-\d\d-\d\d\.json", download.value.suggested_filename)
    saved = tmp_path / "saved.json"
    download.value.save_as(saved)
    assert json.loads(saved.read_text()) == before
    page.once("dialog", lambda dialog: dialog.dismiss())
    page.get_by_role("button", name="Clear").click()
    assert stored(page) == before["chapters"]
    page.once("dialog", lambda dialog: dialog.accept())
    page.get_by_role("button", name="Clear").click()
    assert page.evaluate("Object.keys(localStorage).filter(key => key.startsWith('ntk'))") == []
    assert marks(page) == {} and page.locator("#ntk-progress table").count() == 0
    assert page.get_by_role("status").inner_text() == "Cleared."
    page.locator("#ntk-progress input").set_input_files(saved)
    page.wait_for_selector("#ntk-progress table")
    assert stored(page) == before["chapters"] and marks(page) == {FIRST["page"]: "read"}


@needs_browser
def test_restoring_adds_to_what_there_is(reader, tmp_path):
    one, two, *_ = FIRST["questions"]
    own = {"read": False, "answers": {one["id"]: 0}, "solved": FIRST["exercises"][:1]}
    theirs = {
        "read": True,
        "at": "exercises",
        "answers": {one["id"]: 1, two["id"]: 1},
        "solved": FIRST["exercises"][:2],
    }
    page = reader(state({FIRST["page"]: own}))(HOME)
    file = tmp_path / "other.json"
    file.write_text(json.dumps(state({FIRST["page"]: theirs, SECOND["page"]: {"read": True}})))
    page.locator("#ntk-progress input").set_input_files(file)
    page.get_by_text("Restored from other.json.").wait_for()
    both = {"read": False, "at": "exercises", "answers": {one["id"]: 0, two["id"]: 1}, "solved": FIRST["exercises"][:2]}
    found = stored(page)
    assert found[FIRST["page"]] == both and found[SECOND["page"]]["read"]
    for wrong in ("{", "[]", json.dumps({"version": 2, "chapters": {}})):
        file.write_text(wrong)
        page.locator("#ntk-progress input").set_input_files(file)
        page.get_by_text("other.json holds no progress").wait_for()
        assert stored(page) == found
        page.get_by_role("status").evaluate("said => { said.textContent = ''; }")


@needs_browser
@pytest.mark.parametrize(
    "broken",
    [
        "{",
        "null",
        json.dumps({"version": 2, "chapters": {}}),
        json.dumps(state({FIRST["page"]: 1})),
        json.dumps(state({FIRST["page"]: {"answers": {"a": "length"}}})),
        json.dumps(state({FIRST["page"]: {"solved": "all"}})),
    ],
)
def test_what_cannot_be_read_is_put_aside(reader, broken):
    page = reader(broken)(FIRST["page"])
    assert page.evaluate(f"localStorage.getItem('{KEY}-unreadable')") == broken
    page.locator(".ntk-solved").first.click()
    assert list(stored(page)) == [FIRST["page"]]


@needs_browser
def test_another_version_is_left_alone(reader):
    open_page = reader()
    page = open_page(FIRST["page"])
    page.evaluate("localStorage.setItem('ntk-tutorial-progress-2', 'later')")
    page.get_by_role("button", name="Mark as read").click()
    page = open_page(HOME)
    page.once("dialog", lambda dialog: dialog.accept())
    page.get_by_role("button", name="Clear").click()
    assert stored(page) is None
    assert page.evaluate("localStorage.getItem('ntk-tutorial-progress-2')") == "later"


@needs_browser
def test_a_browser_that_denies_its_storage(reader):
    open_page = reader(script=REFUSE % ["getItem", "setItem", "removeItem"])
    assert open_page(FIRST["page"]).locator(CONTROLS).count() == 0
    page = open_page(HOME)
    assert page.locator("#ntk-progress").get_by_text("its storage is blocked").is_visible()
    assert page.locator("#ntk-progress button:visible").count() == 0


@needs_browser
def test_a_browser_whose_storage_is_full(reader):
    page = reader(script=REFUSE % ["setItem"])(FIRST["page"])
    page.locator(".ntk-solved").first.click()
    assert page.get_by_text("Not kept").is_visible()
    assert not page.get_by_role("checkbox").first.is_checked()


@needs_browser
def test_without_javascript_nothing_of_it_is_there(reader):
    open_page = reader(java_script_enabled=False)
    for name in (FIRST["page"], HOME):
        assert open_page(name).locator(CONTROLS).count() == 0
    assert open_page(HOME).locator("#ntk-progress").bounding_box()["height"] == 0


@needs_browser
def test_from_a_file(reader):
    open_page, base = reader(), f"{pages.SITE.as_uri()}/"
    page = open_page(FIRST["page"], base)
    page.get_by_role("button", name="Mark as read").click()
    page = open_page(HOME, base)
    assert page.locator("#ntk-next a").evaluate("link => link.href") == f"{base}{SECOND['page']}.html"
    assert page.locator(".bd-links .ntk-standing").count() == 1


@needs_browser
@pytest.mark.parametrize("scheme", pages.SCHEMES)
def test_it_can_be_read_and_used_by_everyone(reader, scheme):
    some = state({FIRST["page"]: everything(FIRST), SECOND["page"]: {"at": "exercises"}})
    wide = reader(some, color_scheme=scheme)
    phone = reader(some, color_scheme=scheme, viewport=pages.SIZES["phone"], has_touch=True, is_mobile=True)
    for name, parts in (
        (HOME, "#ntk-next, #ntk-progress, .bd-links, dt"),
        (FIRST["page"], ".ntk-end, .quiz, .ntk-score, .exercise"),
    ):
        page = wide(name)
        page.wait_for_function("scheme => document.documentElement.dataset.theme == scheme", arg=scheme)
        assert pages.violations(page, {}, parts) == []
        page = phone(name)
        assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
        for control in page.locator(".ntk-solved, .ntk-button:visible").all():
            assert control.bounding_box()["height"] >= 40  # as large as a finger
