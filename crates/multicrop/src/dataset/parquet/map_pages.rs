//! A page reader that hands on the pages of another one, each as something makes it or refuses it.

use parquet::column::page::{Page, PageMetadata, PageReader};
use parquet::errors::Result;

/// What is done with each page.
pub(super) trait OnPage {
    /// The page to hand on.
    fn on_page(&self, page: Page) -> Result<Page>;
}

/// The pages of `pages`, each as `each` makes it.
pub(super) struct EachPage<P, F> {
    pub(super) pages: P,
    pub(super) each: F,
}

impl<P: PageReader, F: OnPage + Send> Iterator for EachPage<P, F> {
    type Item = Result<Page>;

    fn next(&mut self) -> Option<Self::Item> {
        self.get_next_page().transpose()
    }
}

impl<P: PageReader, F: OnPage + Send> PageReader for EachPage<P, F> {
    fn get_next_page(&mut self) -> Result<Option<Page>> {
        self.pages.get_next_page()?.map(|page| self.each.on_page(page)).transpose()
    }

    fn peek_next_page(&mut self) -> Result<Option<PageMetadata>> {
        self.pages.peek_next_page()
    }

    fn skip_next_page(&mut self) -> Result<()> {
        self.pages.skip_next_page()
    }

    fn supports_deferred_dictionary(&self) -> bool {
        self.pages.supports_deferred_dictionary()
    }

    fn take_deferred_dictionary(&mut self) -> Result<Option<Page>> {
        self.pages.take_deferred_dictionary()?.map(|page| self.each.on_page(page)).transpose()
    }
}
