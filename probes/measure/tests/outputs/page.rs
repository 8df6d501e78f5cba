//! The page: whole, alone, and readable by a reader of XML as far as its pictures go.

use commucat_measure::output::{Page, html};

use crate::sample::{clear, days, interfered, offline};

#[test]
fn it_needs_nothing_else() {
    let page = html(&Page::of(&days(40)));
    for forbidden in ["<script", "http://", "https://", "url(", "@import", "src=", "<link", "<iframe", " on"]
    {
        let forbidden_attribute = forbidden == " on";
        let found = if forbidden_attribute {
            page.contains(" onload=") || page.contains(" onclick=")
        } else {
            page.contains(forbidden)
        };
        assert!(!found, "{forbidden}");
    }
    assert!(page.contains("default-src 'none'"));
    assert!(page.contains("prefers-color-scheme: dark"));
}

#[test]
fn its_pictures_are_named_and_well_formed() {
    let page = html(&Page::of(&days(40)));
    let mut pictures = 0;
    for part in page.split("<svg ").skip(1) {
        let svg = part.split("</svg>").next().unwrap();
        if svg.contains("aria-hidden") {
            continue;
        }
        pictures += 1;
        assert!(svg.contains("role=\"img\"") && svg.contains("<title id=") && svg.contains("<desc id="));
        assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
        let opened = svg.matches("<text").count();
        assert_eq!(opened, svg.matches("</text>").count());
    }
    assert_eq!(pictures, 6, "timeline, curve, hellos, parallel, rates, answers");
}

#[test]
fn every_run_gives_a_page() {
    for run in [interfered(), clear(), offline()] {
        let page = html(&Page::of(std::slice::from_ref(&run)));
        assert!(page.starts_with("<!doctype html>") && page.ends_with("</html>\n"));
        assert_eq!(page.matches("<section").count(), page.matches("</section>").count());
        assert_eq!(page.matches("<article").count(), page.matches("</article>").count());
    }
    assert!(html(&Page::of(&[])).contains("There is no run"));
}

#[test]
fn empty_and_odd_measurements_do_not_break_it() {
    let mut run = interfered();
    for transfer in &mut run.observations.transfers {
        transfer.curve.iter_mut().for_each(|point| (point.at_us, point.bytes) = (0, 0));
        transfer.took_us = 0;
    }
    for rate in &mut run.observations.rates {
        rate.suspect_kbps = vec![0.0];
        rate.control_kbps.clear();
    }
    run.observations.series.iter_mut().for_each(|series| series.trials.clear());
    let page = html(&Page::of(std::slice::from_ref(&run)));
    assert!(!page.contains("NaN") && !page.contains("inf\""));
}

#[test]
fn pages_can_be_looked_at() {
    let watch = days(70);
    keep("interfered", &html(&Page::of(&[interfered()])));
    keep("clear", &html(&Page::of(&[clear()])));
    keep("offline", &html(&Page::of(&[offline()])));
    keep("watch", &html(&Page::of(&watch).redacted(true)));
}

/// Writes a page where a person can look at it: `COMMUCAT_PAGES=/tmp/pages cargo test …`.
pub fn keep(name: &str, page: &str) {
    let Some(folder) = std::env::var_os("COMMUCAT_PAGES") else { return };
    let folder = std::path::PathBuf::from(folder);
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join(format!("{name}.html")), page).unwrap();
}
